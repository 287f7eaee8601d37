import pytest

from fedtiny.errors import FolderError, ScenarioError
from fedtiny.results.folder import read_status
from fedtiny.results.sweep import read_sweep
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.cell import Outcome, run_cell
from fedtiny.sweeps.local import no_further, processes
from fedtiny.sweeps.run_folder import run_into
from fedtiny.sweeps.sweep import cell_folder, finished, run_sweep


def crossed(path, *axes, seeds=1):
    base, found = split_sweep(read_tree(path))
    return cross(base, path.parent, [*found, *map(parse_axis, axes)], seeds)


class Here:
    """An executor in this process that counts what it did, takes jobs from the end, and loses some or is interrupted if asked."""

    def __init__(self, fail=(), most=None, at_once=1):
        self.at_once = at_once
        self.ran = []
        self.fail = fail
        self.most = most

    def __call__(self, work, jobs, lost, then=no_further):
        waiting = list(reversed(jobs))
        while waiting:
            job = waiting.pop(0)
            if work is run_cell:
                if len(self.ran) == self.most:
                    raise KeyboardInterrupt
                self.ran.append(job.cell)
            result = lost(job) if work is run_cell and job.cell in self.fail else work(job)
            waiting = [*then(result), *waiting]
            yield result


def test_every_cell_has_a_row_with_its_axes_and_the_summary_of_its_run(tiny, tmp_path):
    sweep = crossed(tiny(), "update=full,last", seeds=2)
    result = run_sweep(sweep, tmp_path / "sweep", Here())
    rows = result.cells.to_pylist()
    assert [(row["update"], row["seed"], row["status"]) for row in rows] == [
        ("full", 0, "done"),
        ("full", 1, "done"),
        ("last", 0, "done"),
        ("last", 1, "done"),
    ]
    for row in rows:
        summary = read_status(tmp_path / "sweep" / result.folders[row["cell"]])["summary"]
        assert (row["rounds"], row["accuracy"], row["bytes_up"]) == (summary["rounds"], summary["accuracy"], summary["bytes_up"])
    assert read_sweep(tmp_path / "sweep").cells.equals(result.cells)


def test_finished_cells_are_not_run_again_and_failed_ones_are(tiny, tmp_path):
    sweep = crossed(tiny(), seeds=3)
    failing = sweep.cells[1].id
    first = Here(fail={failing})
    result = run_sweep(sweep, tmp_path / "sweep", first)
    assert [row["status"] for row in result.cells.to_pylist()] == ["done", "failed", "done"]
    second = Here()
    again = run_sweep(crossed(tiny(), seeds=4), tmp_path / "sweep", second)
    assert set(second.ran) == {failing, again.cells["cell"][3].as_py()}
    assert again.cells["status"].to_pylist() == ["done"] * 4


def test_a_cell_that_does_not_fit_is_a_row_without_results(tiny, tmp_path):
    told = []
    here = Here()
    sweep = crossed(tiny(), "device.memory=1 kB,1 MB")

    def tell(cell, outcome):
        told.append((cell.labels["device.memory"], outcome.status))

    first, second = run_sweep(sweep, tmp_path / "sweep", here, tell=tell).cells.to_pylist()
    assert (first["status"], first["accuracy"], first["rounds"]) == ("infeasible", None, None)
    assert second["status"] == "done"
    assert here.ran == [sweep.cells[1].id]
    assert told == [("1 kB", "infeasible"), ("1 MB", "done")]


def test_a_cell_that_is_wrong_ends_the_sweep_before_anything_runs(tiny, tmp_path):
    here = Here()
    with pytest.raises(ScenarioError, match=r"tiny\.yaml:2: model: model linear cannot carry lite residual modules"):
        run_sweep(crossed(tiny(), "update=full,tinytl"), tmp_path / "sweep", here)
    assert here.ran == []
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(("at_once", "expected"), [(2, ["4", "3", "2"]), (1, ["3", "4", "2"]), (3, ["3", "4", "2"])])
def test_the_longest_cells_begin_first_where_some_have_to_wait(tiny, tmp_path, at_once, expected):
    sweep = crossed(tiny(), "training.local_steps=3,4,2")
    here = Here(at_once=at_once)
    run_sweep(sweep, tmp_path / "sweep", here)
    label_of = {cell.id: cell.labels["training.local_steps"] for cell in sweep.cells}
    assert [label_of[cell] for cell in reversed(here.ran)] == expected  # this executor takes them from the end


def test_what_is_to_be_resumed_has_to_be_there(tiny, tmp_path):
    sweep, here = crossed(tiny(), seeds=2), Here(most=1)
    with pytest.raises(FolderError, match="no sweep to go on with: leave out --resume"):
        run_sweep(sweep, tmp_path / "sweep", here, resume=True)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tmp_path / "sweep", here)
    rest = Here()
    run_sweep(sweep, tmp_path / "sweep", rest, resume=True)
    assert len(rest.ran) == 1


def test_an_interrupted_sweep_keeps_what_was_finished(tiny, tmp_path):
    sweep, interrupted, here = crossed(tiny(), seeds=2), Here(most=1), Here()
    with pytest.raises(KeyboardInterrupt):
        run_sweep(sweep, tmp_path / "sweep", interrupted)
    run_sweep(sweep, tmp_path / "sweep", here)
    assert sorted(interrupted.ran + here.ran) == sorted(cell.id for cell in sweep.cells)


def test_what_a_killed_process_left_half_written_is_removed(tiny, tmp_path):
    sweep = crossed(tiny())
    half = tmp_path / "sweep" / "cells" / f".{sweep.cells[0].id}.0123abcd.new"
    run_sweep(sweep, tmp_path / "sweep", Here())
    half.mkdir()
    (half / "rounds.parquet").touch()
    run_sweep(sweep, tmp_path / "sweep", Here())
    assert [path.name for path in half.parent.iterdir()] == [sweep.cells[0].id]


def test_a_folder_of_something_else_is_refused(tiny, tmp_path):
    sweep = crossed(tiny())
    run_into(tmp_path / "run", sweep.cells[0].scenario)
    with pytest.raises(FolderError, match="holds a run"):
        run_sweep(sweep, tmp_path / "run", Here())
    run_sweep(sweep, tmp_path / "sweep", Here())
    with pytest.raises(FolderError, match="sweep of another scenario, 'tiny'"):
        run_sweep(crossed(tiny(), "name=other"), tmp_path / "sweep", Here())
    with pytest.raises(FolderError, match="not a sweep"):
        run_sweep(sweep, tmp_path, Here())


def test_a_run_counts_as_finished_only_if_it_is_done_and_of_the_same_scenario(tiny, tmp_path):
    cell, other = crossed(tiny(), seeds=2).cells
    folder = cell_folder(tmp_path, cell)
    assert finished(cell, folder) is None
    outcome = Outcome(cell.id, "done", summary=run_into(folder, cell.scenario).summary)
    assert finished(cell, folder) == outcome
    assert finished(other, folder) is None


def test_processes_give_the_same_rows_as_this_process(tiny, tmp_path):
    sweep = crossed(tiny(), "update=full,last")
    here = run_sweep(sweep, tmp_path / "here", Here())
    with processes(2) as executor:
        there = run_sweep(sweep, tmp_path / "there", executor)
    assert there.cells.equals(here.cells)
    names = ("rounds.parquet", "activities.parquet", "devices.parquet", "model.safetensors", "scenario.yaml")
    for cell in sweep.cells:
        for name in names:
            assert (cell_folder(tmp_path / "here", cell) / name).read_bytes() == (cell_folder(tmp_path / "there", cell) / name).read_bytes()
