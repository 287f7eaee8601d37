"""How long `fedtiny run` takes to its first trained round, against importing torch and flwr: `python cold_start.py`.

Both are fresh processes, in turns, with the files in the page cache and the bytecode of all modules in a folder of its own, as an installed
program finds them, whatever PYTHONDONTWRITEBYTECODE says here. The run is a small one (ten clients, logistic regression), through
the command line's own `main`; its clock stops when its first round is reported.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from gate import say
from workloads import WORKLOADS, scenario

TARGET = 1.5
_REPEATS = 7
_IMPORTS = "import time; begin = time.perf_counter(); import torch, flwr; print(time.perf_counter() - begin)"


def first_round(path: str) -> None:
    """In a fresh process: runs the scenario and prints the seconds to its first round."""
    begin = time.perf_counter()
    from fedtiny import cli

    @contextmanager
    def report(quiet: bool) -> Iterator[Any]:
        yield lambda state: print(time.perf_counter() - begin) if (state.phase, state.done) == ("rounds", 1) else None

    cli.run_progress = report
    cli.main(["run", path, "--out", str(Path(path).parent / "run"), "--overwrite", "--quiet"])


def timed(folder: str, *command: str) -> float:
    """The seconds that a fresh Python prints whose bytecode is in this folder."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True, env=environment)
    return float(done.stdout.splitlines()[0])


def measure() -> dict[str, list[float]]:
    """Seconds of both, one repeat after the other; the first of each warms the page cache, writes the bytecode, and is left out."""
    found: dict[str, list[float]] = {"imports": [], "first_round": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        path.write_text(yaml.safe_dump(scenario(replace(WORKLOADS["a"], population=10, cohort=10), 1)))
        for _ in range(_REPEATS + 1):
            found["imports"].append(timed(folder, "-c", _IMPORTS))
            found["first_round"].append(timed(folder, __file__, str(path)))
    return {name: seconds[1:] for name, seconds in found.items()}


def main() -> None:
    """Prints medians and their ratio."""
    if len(sys.argv) > 1:
        first_round(sys.argv[1])
        return
    medians = {name: statistics.median(seconds) for name, seconds in measure().items()}
    say(**medians, ratio=medians["first_round"] / medians["imports"], target=TARGET, repeats=_REPEATS)


if __name__ == "__main__":
    main()
