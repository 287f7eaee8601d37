"""A search that is killed without a word (kill -9) goes on where it was: it tries what one that nobody killed tries, and nothing twice."""

import os
import signal
import subprocess
import sys
import time

import pytest

from fedtiny.results.folder import read_status
from fedtiny.results.sweep import read_sweep

pytest.importorskip("optuna")

SEARCH = "import sys; from fedtiny.cli import main; sys.exit(main(sys.argv[1:]))"
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
        time.sleep(0.001)
        return self.linear(inputs.flatten(1))
"""
TRIALS = 14

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tiny, tmp_path):
    """The words of a search of fourteen trials, four of them proposed by the estimator, each of which takes half a second."""
    (tmp_path / "network.py").write_text(NETWORK)
    path = tiny()
    path.write_text(path.read_text().replace("model: linear", "model: {kind: python, path: network.py, name: Network}"))
    axes = ("--axis", "training.batch_size=2..8:7", "--axis", "stop.rounds=50..60:11")
    search = ("--optimize", "loss,virtual_time", "--trials", str(TRIALS), "--batch", "3", "--allow-code")
    return lambda out, workers: [sys.executable, "-c", SEARCH, "sweep", str(path), *axes, *search, "--out", str(out), "--workers", workers]


def run(words):
    subprocess.run(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.DEVNULL)


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


def test_a_killed_search_goes_on_as_if_nobody_had_killed_it(command, tmp_path):
    folder, whole = tmp_path / "search", tmp_path / "whole"
    search = subprocess.Popen(
        command(folder, "2"), env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until(lambda: len(finished(folder)) >= 7, 120)
    search.send_signal(signal.SIGKILL)
    search.wait()
    processes = [int(path.stem) for path in tmp_path.glob("*.process")]
    until(lambda: not any(map(alive, processes)), 10)
    before = finished(folder)
    assert 7 <= len(before) < TRIALS
    run([*command(folder, "2"), "--resume"])
    after = finished(folder)
    assert {cell: after[cell] for cell in before} == before
    assert len(after) == TRIALS
    run(command(whole, "1"))
    assert read_sweep(folder).cells.equals(read_sweep(whole).cells)
