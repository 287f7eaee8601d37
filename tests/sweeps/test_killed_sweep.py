"""A sweep that is killed without a word (kill -9) goes on where it was: no finished cell is lost or run again."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fedtiny.results.folder import read_status
from fedtiny.results.sweep import read_sweep

SWEEP = "import sys; from fedtiny.cli import main; sys.exit(main(sys.argv[1:]))"
NETWORK = """
import os, time
from pathlib import Path
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)
        Path(__file__).with_name(f"{os.getpid()}.process").touch()

    def forward(self, inputs):
        time.sleep(0.002)
        return self.linear(inputs.flatten(1))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tiny, tmp_path):
    """The words of a sweep of eight cells on two processes, each of which takes about a second."""
    (tmp_path / "network.py").write_text(NETWORK)
    path = tiny()
    path.write_text(path.read_text().replace("model: linear", "model: {kind: python, path: network.py, name: Network}"))
    axes = ("--axis", "training.batch_size=4,8", "--axis", "stop.rounds=100,101", "--seeds", "2")
    return [sys.executable, "-c", SWEEP, "sweep", str(path), *axes, "--out", str(tmp_path / "sweep"), "--workers", "2", "--allow-code"]


def finished(folder):
    """The cells that are done, and when their folders were written."""
    cells = {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("cells/*/run.json")}
    return {cell: when for cell, when in cells.items() if read_status(folder / "cells" / cell)["status"] == "done"}


def until(what, seconds):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def alive(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_sweep_loses_no_finished_cell_and_runs_none_again(command, tmp_path):
    folder = tmp_path / "sweep"
    sweep = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(finished(folder)) >= 3, 120)
    sweep.send_signal(signal.SIGKILL)
    sweep.wait()
    processes = [int(path.stem) for path in tmp_path.glob("*.process")]
    until(lambda: not any(map(alive, processes)), 10)  # nobody is left who could write beside the next sweep
    before = finished(folder)
    assert 3 <= len(before) < 8
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.DEVNULL)
    after = finished(folder)
    assert {cell: after[cell] for cell in before} == before
    assert read_sweep(folder).cells["status"].to_pylist() == ["done"] * 8
    assert {path.name for path in (folder / "cells").iterdir()} == set(after)
    assert {path.name for path in folder.iterdir()} == {"sweep.json", "cells.parquet", "cells", "report.html", "figures", "citations.bib"}
