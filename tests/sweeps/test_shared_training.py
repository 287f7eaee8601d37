"""Cells that differ in timing alone train once, whatever the number of processes; and nothing of a run is different for it."""

import pytest

from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.cell import run_cell
from fedtiny.sweeps.local import processes
from fedtiny.sweeps.shared_training import JournalOptions, in_turns, shared_journals
from fedtiny.sweeps.sweep import cell_folder, run_sweep

LATENCIES = "network.latency=10 ms,1 s,2 s"
NETWORK = """
from pathlib import Path
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, inputs):
        if inputs.requires_grad is False and self.training and len(inputs) == 8:
            with open(Path(__file__).with_name("trained.log"), "a") as log:
                log.write("step ")
        return self.linear(inputs.flatten(1))
"""


def crossed(path, *axes, seeds=1):
    base, found = split_sweep(read_tree(path))
    return cross(base, path.parent, [*found, *map(parse_axis, axes)], seeds)


def here(work, jobs, lost):
    yield from (work(job) for job in jobs)


@pytest.fixture
def counted(tiny, tmp_path):
    """The tiny scenario with a network that writes down every step; gives its file, and how many steps were taken since asked last."""
    (tmp_path / "network.py").write_text(NETWORK)
    path, log = tiny(name="counted.yaml"), tmp_path / "trained.log"
    path.write_text(path.read_text().replace("model: linear", "model: {kind: python, path: network.py, name: Network}"))

    def steps():
        found = log.read_text().count("step") if log.exists() else 0
        log.unlink(missing_ok=True)
        return found

    return path, steps


def contents(folder, sweep):
    names = ("rounds.parquet", "activities.parquet", "devices.parquet", "labels.parquet", "model.safetensors", "scenario.yaml")
    return [(cell_folder(folder, cell) / name).read_bytes() for cell in sweep.cells for name in names]


def test_cells_that_differ_in_latency_train_once_and_have_the_bytes_of_cells_that_train_alone(counted, tmp_path):
    path, steps = counted
    sweep = crossed(path, LATENCIES)
    run_sweep(sweep, tmp_path / "apart", here, allow_code=True, journal=JournalOptions(most_bytes=0))
    apart = steps()
    run_sweep(sweep, tmp_path / "shared", here, allow_code=True)
    assert (apart % 3, steps()) == (0, apart // 3)
    assert contents(tmp_path / "shared", sweep) == contents(tmp_path / "apart", sweep)
    assert not (tmp_path / "shared" / "journal").exists()
    assert not (tmp_path / "apart" / "journal").exists()


@pytest.mark.slow
def test_two_processes_train_once_too(counted, tmp_path):
    path, steps = counted
    run_sweep(crossed(path), tmp_path / "one", here, allow_code=True)
    once = steps()
    with processes(2) as executor:
        run_sweep(crossed(path, LATENCIES, seeds=2), tmp_path / "sweep", executor, allow_code=True)
    assert steps() == 2 * once


def test_a_journal_that_is_asked_for_stays_and_serves_the_next_sweep(counted, tmp_path):
    path, steps = counted
    run_sweep(crossed(path, LATENCIES), tmp_path / "sweep", here, allow_code=True, journal=JournalOptions(keep=True))
    assert steps() > 0
    run_sweep(crossed(path, "network.latency=10 ms,1 s,2 s,9 s"), tmp_path / "sweep", here, allow_code=True)
    assert steps() == 0
    assert not (tmp_path / "sweep" / "journal").exists()


def test_after_an_interrupt_the_journal_stays_and_the_last_cell_trains_nothing(counted, tmp_path):
    path, steps = counted

    def interrupted(work, jobs, lost):
        for place, job in enumerate(jobs):
            if work is run_cell and len(jobs) == 2 and place == 1:
                raise KeyboardInterrupt
            yield work(job)

    sweep = crossed(path, LATENCIES)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tmp_path / "sweep", interrupted, allow_code=True)
    assert steps() > 0
    run_sweep(sweep, tmp_path / "sweep", here, allow_code=True)
    assert steps() == 0


def test_the_first_cell_of_every_group_runs_before_the_others(tiny, tmp_path):
    sweep = crossed(tiny(), "update=full,last", LATENCIES, seeds=2)
    journals = shared_journals(sweep.cells, tmp_path, JournalOptions(most_bytes=1000))
    first, then = in_turns(sweep.cells, journals)
    assert [(cell.labels["update"], cell.scenario.seed) for cell in first] == [("full", 0), ("full", 1), ("last", 0), ("last", 1)]
    assert len(then) == 8
    assert len(set(journals.values())) == 4
    assert {place.most_bytes for place in journals.values()} == {250}


@pytest.mark.parametrize("axis", ["training.batch_size=4,8", "data.train_examples=16,32", "update=full,last", "strategy=fedavg,fedmedian"])
def test_cells_that_learn_otherwise_share_no_journal_and_run_at_once(tiny, tmp_path, axis):
    sweep = crossed(tiny(), axis, seeds=2)
    journals = shared_journals(sweep.cells, tmp_path, JournalOptions())
    assert journals == {}
    assert in_turns(sweep.cells, journals) == [list(sweep.cells), []]
