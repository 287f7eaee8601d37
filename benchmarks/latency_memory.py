"""`fedtiny sweep scenarios/latency_memory.yaml --seeds 3` as users run it: timed, killed in the middle, on a Ray cluster that loses a node.

    python benchmarks/latency_memory.py --out DIR [--ray]

All three must end with the same rows and the same bytes in every run, and no cell that was finished may be run again. With `--ray` (the
extra is needed) the third is a cluster of two nodes on loopback, one of which is killed when half of the cells are done.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedtiny.results.folder import read_status
from fedtiny.results.sweep import read_sweep

SCENARIO = Path(__file__).parents[1] / "scenarios" / "latency_memory.yaml"
FILES = ("scenario.yaml", "rounds.parquet", "activities.parquet", "devices.parquet", "model.safetensors")
ENVIRONMENT = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}


def command(folder: Path, *more: str) -> list[str]:
    """The words of the sweep."""
    return [sys.executable, "-m", "fedtiny", "sweep", str(SCENARIO), "--seeds", "3", "--out", str(folder), "--quiet", *more]


def done(folder: Path) -> dict[str, int]:
    """The cells whose folders are whole, and when they were written (ns)."""
    whole = (path for path in folder.glob("cells/*/run.json") if not path.parent.name.startswith("."))  # others are being written
    cells = {path.parent.name: path.stat().st_mtime_ns for path in whole}
    return {cell: when for cell, when in cells.items() if read_status(folder / "cells" / cell)["status"] == "done"}


def fingerprints(folder: Path) -> dict[str, str]:
    """By cell, one hash of the files that must be the same everywhere."""
    return {
        cell: hashlib.sha256(b"".join((folder / "cells" / cell / name).read_bytes() for name in FILES)).hexdigest() for cell in done(folder)
    }


def wait_until(what: Callable[[], bool]) -> None:
    """Looks every tenth of a second."""
    while not what():
        time.sleep(0.1)


def plain(folder: Path) -> float:
    """Runs the sweep; host seconds."""
    start = time.perf_counter()
    subprocess.run(command(folder), check=True, env=ENVIRONMENT)
    return time.perf_counter() - start


def killed(folder: Path, after: int) -> tuple[int, float]:
    """Kills the sweep (SIGKILL) after so many cells and runs the same command again: how many were done, host seconds of the rest."""
    sweep = subprocess.Popen(command(folder), env=ENVIRONMENT)
    wait_until(lambda: len(done(folder)) >= after or sweep.poll() is not None)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    time.sleep(3)  # processes of its own end when they see that it is gone
    before = done(folder)
    seconds = plain(folder)
    again = [cell for cell, when in before.items() if done(folder)[cell] != when]
    if again:
        raise SystemExit(f"finished cells that were run again: {again}")
    return len(before), seconds


@contextmanager
def cluster() -> Iterator[tuple[Any, Any]]:
    """Two nodes on loopback with a processor each; the second may be killed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        small = {"num_cpus": 1, "object_store_memory": 100_000_000}
        soon = {"health_check_period_ms": 500, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 4}
        started = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False, "_system_config": soon})
        try:
            yield started, started.add_node(**small)
        finally:
            started.shutdown()


def on_ray(folder: Path, after: int) -> float:
    """Runs the sweep on two nodes, of which one is killed after so many cells; host seconds."""
    with cluster() as (started, node):

        def lose() -> None:
            wait_until(lambda: len(done(folder)) >= after)
            started.remove_node(node, allow_graceful=False)

        thread = threading.Thread(target=lose)
        thread.start()
        start = time.perf_counter()
        subprocess.run(command(folder, "--ray", started.address), check=True, env=ENVIRONMENT)
        seconds = time.perf_counter() - start
        thread.join()
    return seconds


def check_same(first: Path, other: Path) -> None:
    """Ends with an error unless both sweeps have the same rows and bytes."""
    if not read_sweep(first).cells.equals(read_sweep(other).cells):
        raise SystemExit(f"{first} and {other} have different rows")
    if fingerprints(first) != fingerprints(other):
        raise SystemExit(f"{first} and {other} have different runs")


def main() -> None:
    """Does all of it and says what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--ray", action="store_true")
    words = parser.parse_args()
    shutil.rmtree(words.out, ignore_errors=True)
    seconds = plain(words.out / "whole")
    found = read_sweep(words.out / "whole").cells["status"].to_pylist()
    print(f"{len(found)} cells, {found.count('done')} done, {found.count('infeasible')} do not fit: {seconds / 60:.1f} min", flush=True)
    half = found.count("done") // 2
    before, rest = killed(words.out / "killed", half)
    check_same(words.out / "whole", words.out / "killed")
    print(f"killed with {before} cells done; the rest took {rest / 60:.1f} min; same rows and bytes, none run again", flush=True)
    if words.ray:
        seconds = on_ray(words.out / "ray", half)
        check_same(words.out / "whole", words.out / "ray")
        print(f"on a Ray cluster of two nodes that lost one after {half} cells: {seconds / 60:.1f} min; same rows and bytes", flush=True)


if __name__ == "__main__":
    main()
