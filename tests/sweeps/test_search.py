import itertools

import pytest

from fedtiny.errors import FolderError, ScenarioError
from fedtiny.results.objectives import OBJECTIVES, objectives_of
from fedtiny.results.sweep import read_sweep
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis
from fedtiny.sweeps.cell import run_cell
from fedtiny.sweeps.local import no_further, processes
from fedtiny.sweeps.proposals import Verdict
from fedtiny.sweeps.search import SearchOrder, run_search, verdict
from fedtiny.sweeps.search_space import search_space
from fedtiny.sweeps.sweep import run_sweep

pytest.importorskip("optuna")

AXES = ("training.local_steps=1..3:3", "training.optimizer.learning_rate=0.1,1.0", "fleet.0.network.latency=10 ms,1 s")


class Here:
    """An executor in this process that notes which cells it ran, takes them from the end, loses some or is interrupted if asked."""

    def __init__(self, most=None, fail=(), at_once=1, last_first=False):
        self.ran = []
        self.most = most
        self.fail = fail
        self.at_once = at_once
        self.last_first = last_first

    def __call__(self, work, jobs, lost, then=no_further):
        waiting = list(jobs)
        while waiting:
            job = waiting.pop(-1 if self.last_first else 0)
            if work is run_cell:
                if len(self.ran) == self.most:
                    raise KeyboardInterrupt
                self.ran.append(job.cell)
            result = lost(job) if work is run_cell and job.cell in self.fail else work(job)
            waiting = [*then(result), *waiting]
            yield result


def search(path, folder, *axes, objectives="loss,virtual_time", trials=100, executor=None, seeds=1, **options):
    space = search_space(read_tree(path), path.parent, [parse_axis(axis) for axis in axes or AXES], seeds)
    order = SearchOrder(objectives_of(objectives.split(",")), trials, **options)
    return run_search(space, order, folder, executor or Here())


def not_beaten(rows, *columns):
    """Rows that no other one beats, all columns being better if smaller: the definition."""
    points = {row["cell"]: [row[column] for column in columns] for row in rows}
    return {
        cell
        for cell, own in points.items()
        if not any(all(a <= b for a, b in zip(other, own, strict=True)) and other != own for other in points.values())
    }


def test_a_search_of_everything_finds_the_front_of_the_sweep_and_ends(tiny, tmp_path):
    crossed = run_sweep(cross(read_tree(tiny()), tmp_path, [parse_axis(axis) for axis in AXES]), tmp_path / "sweep", Here())
    found = search(tiny(), tmp_path / "search").cells.to_pylist()
    plain = crossed.cells.to_pylist()
    assert {row["cell"] for row in found} == {row["cell"] for row in plain}
    assert len(found) == 12
    best = not_beaten(plain, "loss", "virtual_time")
    assert {row["cell"] for row in found if row["on_front"]} == best
    assert 1 < len(best) < 6


def test_with_one_objective_the_best_trial_alone_is_marked(tiny, tmp_path):
    rows = search(tiny(), tmp_path / "search", objectives="loss").cells.to_pylist()
    least = min(row["loss"] for row in rows)
    assert [row["loss"] for row in rows if row["on_front"]] == [least, least]  # latency changes nothing that is learned


def test_the_folder_says_what_was_searched_and_is_read_back(tiny, tmp_path):
    result = search(tiny(), tmp_path / "search", trials=6, batch=3)
    found = read_sweep(tmp_path / "search")
    assert found.cells.equals(result.cells)
    assert found.search == result.search
    assert (found.search.trials, found.search.batch, found.search.combinations) == (6, 3, 12)
    assert found.search.objectives == ("loss", "virtual_time")
    assert found.search.library.startswith("Optuna ")
    assert [one["key"] for one in found.search.citations] == ["akiba2019optuna", "bergstra2011algorithms", "ozaki2022multiobjective"]


def test_what_is_finished_is_not_run_again_and_the_search_goes_the_same_way(tiny, tmp_path):
    whole = search(tiny(), tmp_path / "whole", trials=11)
    interrupted, rest = Here(most=7), Here()
    with pytest.raises(KeyboardInterrupt):
        search(tiny(), tmp_path / "search", trials=11, executor=interrupted)
    assert len(read_sweep(tmp_path / "search").cells) >= 4  # the first batch, and what was finished before the second began
    again = search(tiny(), tmp_path / "search", trials=11, executor=rest)
    assert again.cells.equals(whole.cells)
    assert sorted(interrupted.ran + rest.ran) == sorted(again.cells["cell"].to_pylist())


def test_a_search_that_is_asked_for_more_trials_begins_with_those_it_has(tiny, tmp_path):
    few, more = Here(), Here()
    first = search(tiny(), tmp_path / "search", trials=5, executor=few)
    second = search(tiny(), tmp_path / "search", trials=10, executor=more)
    assert second.cells["cell"].to_pylist()[:5] == first.cells["cell"].to_pylist()
    assert len(more.ran) == 5


def test_cells_of_a_sweep_are_found_by_a_search_and_the_other_way_round(tiny, tmp_path):
    base, axes = read_tree(tiny()), [parse_axis("training.local_steps=1,2,3")]
    run_sweep(cross(base, tmp_path, axes), tmp_path / "both", Here())
    here = Here()
    search(tiny(), tmp_path / "both", "training.local_steps=1,2,3,4", objectives="loss", executor=here)
    assert len(here.ran) == 1
    here = Here()
    assert run_sweep(cross(base, tmp_path, axes), tmp_path / "both", here).search is None
    assert here.ran == []
    assert "trial" not in read_sweep(tmp_path / "both").cells.column_names


def test_the_order_in_which_cells_end_does_not_matter(tiny, tmp_path):
    found = search(tiny(), tmp_path / "one", trials=11)
    executor = Here(at_once=2, last_first=True)
    assert search(tiny(), tmp_path / "two", trials=11, executor=executor).cells.equals(found.cells)
    assert executor.ran != found.cells["cell"].to_pylist()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_processes_try_the_same_as_this_process(tiny, tmp_path, workers):
    here = search(tiny(), tmp_path / "here", trials=11)
    with processes(workers) as executor:
        assert search(tiny(), tmp_path / "there", trials=11, executor=executor).cells.equals(here.cells)


def test_a_trial_is_all_its_seeds(tiny, tmp_path):
    result = search(tiny(), tmp_path / "search", "training.local_steps=1,2,3", objectives="loss", seeds=2)
    rows = result.cells.to_pylist()
    assert [(row["trial"], row["seed"]) for row in rows] == list(itertools.product(range(3), range(2)))
    means = [(rows[2 * trial]["loss"] + rows[2 * trial + 1]["loss"]) / 2 for trial in range(3)]
    assert [row["on_front"] for row in rows] == [mean == min(means) for mean in means for _ in range(2)]


def test_what_does_not_fit_is_a_trial_without_a_value(tiny, tmp_path):
    told = []
    path = tiny()
    space = search_space(read_tree(path), tmp_path, [parse_axis("device.memory=1 kB,2 kB,1 MB")], 1)
    order = SearchOrder(objectives_of(["loss"]), 10)
    result = run_search(space, order, tmp_path / "s", Here(), tell=lambda cell, outcome: told.append(outcome.status))
    rows = {row["device.memory"]: row for row in result.cells.to_pylist()}
    assert [rows[memory]["status"] for memory in ("1 kB", "2 kB", "1 MB")] == ["infeasible", "infeasible", "done"]
    assert [rows[memory]["on_front"] for memory in ("1 kB", "2 kB", "1 MB")] == [False, False, True]
    assert sorted(told) == ["done", "infeasible", "infeasible"]


def test_what_never_reached_its_target_has_no_value_and_is_not_on_the_front(tiny, tmp_path):
    path, rate = tiny(), "training.optimizer.learning_rate"
    path.write_text(path.read_text().replace("{rounds: 2}", "{rounds: 12, target_accuracy: 0.3}"))
    rows = search(path, tmp_path / "s", f"{rate}=0.0001,0.0002,1.0", objectives="time_to_target,bytes").cells.to_pylist()
    assert {row[rate]: row["time_to_target"] is not None for row in rows} == {"0.0001": False, "0.0002": False, "1.0": True}
    assert {row[rate] for row in rows if row["on_front"]} == {"1.0"}


def test_a_trial_that_failed_is_a_row_and_is_tried_again(tiny, tmp_path):
    first = search(tiny(), tmp_path / "a", trials=6)
    failing = first.cells["cell"][2].as_py()
    rows = search(tiny(), tmp_path / "b", trials=6, executor=Here(fail={failing})).cells.to_pylist()
    assert [row["status"] for row in rows] == ["done", "done", "failed", "done", "done", "done"]
    assert not rows[2]["on_front"]
    here = Here()
    assert search(tiny(), tmp_path / "b", trials=6, executor=here).cells.equals(first.cells)
    assert failing in here.ran


def test_the_less_accuracy_it_lacks_the_better_is_a_trial_without_a_time():
    objectives = objectives_of(["time_to_target", "bytes"])
    reached = {"time_to_target": 3.0, "target_accuracy": 0.8, "accuracy": 0.8}
    near, far = ({"time_to_target": None, "target_accuracy": 0.8, "accuracy": accuracy} for accuracy in (0.75, 0.5))
    assert verdict((3.0, 4.0), objectives, [reached]) == Verdict(values=(3.0, 4.0))
    assert verdict((None, 4.0), objectives, [near]).violation == pytest.approx(0.05)
    assert verdict((None, 4.0), objectives, [reached, far]).violation == pytest.approx(0.15)
    assert verdict((None, 4.0), objectives, [{**far, "accuracy": None}]).violation == pytest.approx(0.8)
    assert verdict((3.0, None), objectives, [reached]).violation == verdict((None, None), objectives, [far]).violation == 2.0


@pytest.mark.parametrize("name", [name for name, one in OBJECTIVES.items() if one.of_target])
def test_a_search_for_a_target_needs_one(tiny, tmp_path, name):
    here = Here()
    with pytest.raises(ScenarioError, match=rf"tiny\.yaml:8: stop: --optimize {name} needs an accuracy, and stop\.target_accuracy"):
        search(tiny(), tmp_path / "s", objectives=name, executor=here)
    assert not (tmp_path / "s").exists()


def test_a_search_for_accuracy_needs_learning(tiny, tmp_path):
    with pytest.raises(ScenarioError, match=r"tiny\.yaml:9: learning: --optimize loss needs an accuracy, and learning is none"):
        search(tiny("learning: none\n"), tmp_path / "s")


def test_a_wrong_value_ends_a_search_before_it_begins(tiny, tmp_path):
    here = Here()
    with pytest.raises(ScenarioError, match=r"tiny\.yaml:2: model: model linear cannot carry lite residual modules"):
        search(tiny(), tmp_path / "s", "training.local_steps=1..100:100", "update=full,tinytl", executor=here)
    assert here.ran == []
    assert not (tmp_path / "s").exists()


def test_the_folder_of_another_sweep_is_refused(tiny, tmp_path):
    search(tiny(), tmp_path / "s", trials=1)
    path = tiny()
    path.write_text(path.read_text().replace("name: tiny", "name: other"))
    with pytest.raises(FolderError, match="holds the sweep of another scenario, 'tiny'"):
        search(path, tmp_path / "s", trials=1)
