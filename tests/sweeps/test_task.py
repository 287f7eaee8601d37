import pytest

from fedtiny.errors import InputError
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import parse_axis
from fedtiny.sweeps.local import no_further
from fedtiny.sweeps.task import TRIALS, sweep_task


def task(path, *axes, seeds=1, **words):
    return sweep_task(read_tree(path), path.parent, [parse_axis(axis) for axis in axes], seeds, **words)


class Here:
    """An executor in this process."""

    at_once = 1

    def __call__(self, work, jobs, lost, then=no_further):
        waiting = list(jobs)
        while waiting:
            result = work(waiting.pop(0))
            waiting = [*then(result), *waiting]
            yield result


def test_without_an_objective_every_combination_is_a_run(tiny, tmp_path):
    found = task(tiny(), "update=full,last", seeds=2)
    assert (found.name, found.runs) == ("tiny", 4)
    assert found.run(tmp_path / "s", Here(), begins=lambda *_: None).search is None


def test_with_an_objective_it_is_a_search(tiny, tmp_path):
    pytest.importorskip("optuna")
    found = task(tiny(), "update=full,last,bias", optimize="loss, bytes", trials=2, batch=1)
    assert (found.name, found.runs) == ("tiny", 2)
    search = found.run(tmp_path / "s", Here(), begins=lambda *_: None).search
    assert (search.objectives, search.trials, search.batch) == (("loss", "bytes"), 2, 1)


def test_a_search_has_no_more_runs_than_combinations_and_seeds(tiny):
    assert task(tiny(), "update=full,last", seeds=3, optimize="loss", trials=100).runs == 6
    assert task(tiny(), "training.local_steps=1..1000:1000", optimize="loss").runs == TRIALS


@pytest.mark.parametrize("words", [{"trials": 3}, {"batch": 2}])
def test_what_is_said_of_a_search_needs_one(tiny, words):
    with pytest.raises(InputError, match="--trials and --batch are of a search: say what for, such as --optimize time_to_target"):
        task(tiny(), "update=full,last", **words)


def test_an_unknown_objective_is_answered_before_anything_else(tiny):
    with pytest.raises(InputError, match="cannot search for speed"):
        task(tiny(), "update=full,last", optimize="accuracy,speed")
