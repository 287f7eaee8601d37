"""What a latency sweep of seven points costs against one run: `python latency_sweep.py`.

FedAvg's learning does not depend on latency, so seven latencies are one piece of learning and seven timings. Both are whole commands,
`fedtiny run` and `fedtiny sweep --workers 1`, with reports, in fresh folders, in turns.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from gate import say

TARGET = 1.3
LATENCIES = ("10 ms", "20 ms", "50 ms", "100 ms", "200 ms", "500 ms", "1 s")
_REPEATS = 3
_FEDTINY = "import sys; from fedtiny.cli import main; sys.exit(main())"


def content() -> dict[str, Any]:
    """A small CNN on Fashion-MNIST, twenty clients, all of them in every round."""
    return {
        "name": "latency",
        "model": {"kind": "small_cnn"},
        "data": {"kind": "fashion_mnist", "train_examples": 6000, "test_examples": 500},
        "training": {"batch_size": 20, "local_steps": 10, "optimizer": {"kind": "sgd", "learning_rate": 0.05}},
        "strategy": {"kind": "fedavg"},
        "fleet": [{"count": 20, "device": "raspberry_pi_4", "network": "lte_static"}],
        "stop": {"rounds": 60},
        "evaluation": {"every": 20},
    }


def timed(folder: Path, *words: str) -> float:
    """Seconds of one command, from start to end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", _FEDTINY, *words, "--out", str(folder), "--quiet"], check=True)
    return time.perf_counter() - begin


def measure() -> dict[str, list[float]]:
    """Seconds of both, in turns."""
    found: dict[str, list[float]] = {"run": [], "sweep": []}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "latency.yaml"
        path.write_text(yaml.safe_dump(content()))
        for repeat in range(_REPEATS):
            found["run"].append(timed(Path(scratch) / f"run{repeat}", "run", str(path)))
            axis = "network.latency=" + ",".join(LATENCIES)
            found["sweep"].append(timed(Path(scratch) / f"sweep{repeat}", "sweep", str(path), "--axis", axis, "--workers", "1"))
    return found


def main() -> None:
    """Prints medians and their ratio."""
    medians = {name: statistics.median(seconds) for name, seconds in measure().items()}
    say(**medians, ratio=medians["sweep"] / medians["run"], target=TARGET, points=len(LATENCIES), repeats=_REPEATS)


if __name__ == "__main__":
    main()
