"""All speed benchmarks in one run: `python benchmarks/speed/bench.py [--only a,b-bias,cold_start] [--blocks 5]`.

Runners of a workload are measured in turns (turns.py); medians over the blocks are compared. Numbers go to docs/figures/benchmarks.json,
tables and figures to docs/benchmarks.md; plan_scale.py in the folder above measures plans beside simpy_floor.py. What `--only` leaves
out keeps its numbers of the last time. Where .venv-peers is there (make bench-peers), pfl and Flower on Ray take part.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from machine import idle_share, machine
from page import NUMBERS, all_claims, claims_table, write_page
from turns import in_turns, script
from verdicts import BARE, BATCH, FEDTINY, FLOWER, ONE_BY_ONE, OPTIMIZER, PFL
from workloads import WORKLOADS, Workload

_HERE: Final = Path(__file__).parent
_PEERS: Final = _HERE.parents[1] / ".venv-peers" / "bin" / "python"
_SINGLE: Final = ("message_cost", "cold_start", "run_memory", "latency_sweep", "worker_processes", "plan_scale")
_WARM_UP: Final = 2
_IDLE: Final = 0.9
_SAME: Final = 1e-5


def commands(workload: Workload, peers: Path | None, data: Path) -> dict[str, list[str]]:
    """Who takes part in a workload, and how each is started."""
    warm_up, rounds = str(_WARM_UP if workload.rounds_per_block == 1 else workload.rounds_per_block), str(workload.rounds_per_block)

    def command(name: str, what: str, python: str = sys.executable) -> list[str]:
        return [python, script(name), workload.name, what, warm_up, rounds]

    found = {FEDTINY: command("run_fedtiny.py", "fedtiny"), BARE: command("run_bare.py", "loop"), BATCH: command("run_bare.py", "batch")}
    if workload.strategy == "fedavg":
        found[OPTIMIZER] = command("run_bare.py", "optimizer")
    if workload.name == "a":
        found[ONE_BY_ONE] = command("run_fedtiny.py", "loop")
    if peers is not None and workload.peers:
        found[PFL] = command("run_pfl.py", str(data), str(peers))
        found[FLOWER] = command("run_flower.py", str(data), str(peers))
    return found


def measure(workload: Workload, blocks: int, peers: Path | None) -> dict[str, Any]:
    """Every runner's blocks, how idle the machine was before, and whether the learning is the same work."""
    same = same_work(workload.name)
    with tempfile.TemporaryDirectory() as folder:
        if peers is not None and workload.peers:
            subprocess.run([sys.executable, script("data_for_peers.py"), workload.name, folder], check=True)
        idle = idle_share()
        print(
            f"{workload.name}: {idle:.0%} idle before" + ("" if idle >= _IDLE else " (others are computing: do not trust this)"), flush=True
        )
        runners = in_turns(commands(workload, peers, Path(folder)), blocks)
    return {
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "idle": round(idle, 3),
        "blocks": {name: runner.seconds for name, runner in runners.items()},
        "facts": {name: runner.facts for name, runner in runners.items() if runner.facts},
        "same": same,
    }


def same_work(name: str) -> dict[str, float]:
    """What same_learning.py found. Ends everything where it is not the same work, or nothing is learnt."""
    found: dict[str, float] = single("same_learning", name)
    if found["difference"] > _SAME or not found["last_loss"] < found["first_loss"]:
        raise SystemExit(f"{name}: FedTiny and the bare loop do not do the same work, or do not learn: {found}")
    return found


def single(name: str, *words: str) -> Any:
    """What a script prints: one JSON object, or a list of them where there are several."""
    done = subprocess.run([sys.executable, script(f"{name}.py"), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return found[0] if len(found) == 1 else found


def main() -> None:
    """Measures, writes and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="workloads and scripts, with commas; left out: all", default=",".join([*WORKLOADS, *_SINGLE]))
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--peers", type=Path, default=_PEERS, help="the Python of the peers' environment")
    options = parser.parse_args()
    peers = options.peers if options.peers.exists() else None
    if peers is None:
        print("pfl and Flower on Ray are not measured: `make bench-peers` installs them", flush=True)
    numbers = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else {"workloads": {}, "single": {}}
    numbers["machine"] = machine()
    for name in options.only.split(","):
        if name in WORKLOADS:
            numbers["workloads"][name] = measure(WORKLOADS[name], options.blocks, peers)
        elif name in _SINGLE:
            numbers["single"][name] = single(name)
        else:
            parser.error(f"{name} is none of {', '.join([*WORKLOADS, *_SINGLE])}")
        NUMBERS.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    write_page(numbers)
    print(claims_table(all_claims(numbers)))


if __name__ == "__main__":
    main()
