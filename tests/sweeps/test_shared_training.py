"""Cells that differ in timing alone train once, whatever the number of processes; and nothing of a run is different for it."""

import itertools

import pytest

from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.cell import run_cell
from fedtiny.sweeps.local import no_further, processes
from fedtiny.sweeps.shared_training import JournalOptions, Turns, shared_journals
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


class Here:
    """An executor in this process; `see(number)` is called before each cell runs, numbered from 0."""

    at_once = 1

    def __init__(self, see=lambda number: None):
        self.see = see

    def __call__(self, work, jobs, lost, then=no_further):
        waiting = list(jobs)
        for number in itertools.count():
            if not waiting:
                return
            if work is run_cell:
                self.see(number)
            result = work(waiting.pop(0))
            waiting = [*then(result), *waiting]
            yield result


here = Here()


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

    def interrupt(number):
        if number == 2:
            raise KeyboardInterrupt

    sweep = crossed(path, LATENCIES)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tmp_path / "sweep", Here(interrupt), allow_code=True)
    assert steps() > 0
    run_sweep(sweep, tmp_path / "sweep", here, allow_code=True)
    assert steps() == 0


def test_a_journal_goes_with_the_last_cell_of_its_group(tiny, tmp_path):
    seen = []

    def see(_):
        seen.append(len(list((tmp_path / "sweep").glob("journal/*"))))

    run_sweep(crossed(tiny(), "update=full,last", LATENCIES, seeds=2), tmp_path / "sweep", Here(see))
    assert seen == [0, 1, 1] * 4
    assert not (tmp_path / "sweep" / "journal").exists()


def test_the_first_cell_of_a_group_runs_alone_and_the_others_before_a_further_group(tiny, tmp_path):
    sweep = crossed(tiny(), "update=full,last", LATENCIES, seeds=2)
    turns = Turns(sweep.cells, shared_journals(sweep.cells, tmp_path, JournalOptions()))
    first = turns.first()
    assert [(cell.labels["update"], cell.scenario.seed) for cell in first] == [("full", 0), ("full", 1), ("last", 0), ("last", 1)]
    then = turns.after(first[1].id, done=True)
    assert [(*cell.labels.values(), cell.scenario.seed) for cell in then] == [("full", "1 s", 1), ("full", "2 s", 1)]
    assert turns.after(then[0].id, done=True) == []


def test_where_the_first_cell_of_a_group_fails_the_next_one_takes_its_turn_and_the_journal_stays(tiny, tmp_path):
    sweep = crossed(tiny(), LATENCIES)
    journals = shared_journals(sweep.cells, tmp_path, JournalOptions())
    for place in set(journals.values()):
        place.folder.mkdir(parents=True)
    turns, (one, two, three) = Turns(sweep.cells, journals), sweep.cells
    assert turns.first() == [one]
    assert turns.after(one.id, done=False) == [two]
    assert turns.after(two.id, done=True) == [three]
    assert turns.after(three.id, done=True) == []
    assert journals[one.id].folder.is_dir()


@pytest.mark.parametrize(("at_once", "keep", "share"), [(1, False, 600), (2, False, 400), (9, False, 300), (1, True, 300)])
def test_journals_share_the_bound_among_those_that_lie_there_at_a_time(tiny, tmp_path, at_once, keep, share):
    cells = crossed(tiny(), "update=full,last", LATENCIES, seeds=2).cells
    journals = shared_journals(cells, tmp_path, JournalOptions(1200, keep), at_once)
    assert len(set(journals.values())) == 4
    assert {place.most_bytes for place in journals.values()} == {share}


@pytest.mark.parametrize("axis", ["training.batch_size=4,8", "data.train_examples=16,32", "update=full,last", "strategy=fedavg,fedmedian"])
def test_cells_that_learn_otherwise_share_no_journal_and_wait_for_none(tiny, tmp_path, axis):
    sweep = crossed(tiny(), axis, seeds=2)
    journals = shared_journals(sweep.cells, tmp_path, JournalOptions())
    assert journals == {}
    turns = Turns(sweep.cells, journals)
    assert turns.first() == list(sweep.cells)
    assert turns.after(sweep.cells[0].id, done=True) == []
