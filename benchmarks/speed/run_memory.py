"""Peak memory of a run, against rounds and against clients: `python run_memory.py` prints one JSON line for each run.

A tiny model (logistic regression on 8 x 8 images), 100 clients of each round, every run in a process of its own, written to its folder
as `fedtiny run` does, without the report. Peak: VmHWM of /proc/self/status, so Linux only.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from gate import say

COHORT = 100
CLIENTS, ROUNDS = (100, 1_000, 10_000), (10, 100, 1_000)


def content(clients: int, rounds: int) -> dict[str, Any]:
    """The scenario: two examples for every client, one step a round."""
    return {
        "name": "memory",
        "model": {"kind": "linear"},
        "data": {"kind": "synthetic", "examples": 20_000, "test_examples": 100, "image_size": 8},
        "training": {"batch_size": 2, "local_steps": 1, "optimizer": {"kind": "sgd", "learning_rate": 0.05}},
        "strategy": {"kind": "fedavg", "fraction_train": COHORT / clients},
        "fleet": [
            {
                "count": clients,
                "device": {"kind": "custom", "memory": "8 GB", "step_time": "10 ms"},
                "network": {"kind": "custom", "latency": "50 ms"},
            }
        ],
        "stop": {"rounds": rounds},
        "evaluation": {"every": 10**6},
    }


def peak() -> int:
    """The most bytes that were resident in this process so far."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def one_run(clients: int, rounds: int) -> None:
    """Runs it in this process, and prints the peak before, of the run, and of the run with its folder."""
    import fedtiny
    from fedtiny.sweeps.run_folder import run_into

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        path.write_text(yaml.safe_dump(content(clients, rounds)))
        before = peak()
        run_into(Path(folder) / "run", fedtiny.load_scenario(path))
    say(clients=clients, rounds=rounds, cohort=COHORT, imports=before, peak=peak())


def main() -> None:
    """All runs, each in a process of its own."""
    if len(sys.argv) > 1:
        one_run(int(sys.argv[1]), int(sys.argv[2]))
        return
    pairs = dict.fromkeys([*((clients, 100) for clients in CLIENTS), *((10_000, rounds) for rounds in ROUNDS)])
    for clients, rounds in pairs:
        subprocess.run([sys.executable, __file__, str(clients), str(rounds)], check=True)


if __name__ == "__main__":
    main()
