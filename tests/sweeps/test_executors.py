import multiprocessing

import pytest

from fedtiny.errors import InputError, ScenarioError
from fedtiny.sweeps.executors import executors


def square(number):
    return number * number


def test_workers_and_a_cluster_contradict_each_other():
    with pytest.raises(ScenarioError, match="leave out one"), executors(2, "auto"):
        pytest.fail("it began")


def test_a_cluster_that_is_not_there_is_a_wrong_input(tmp_path):
    """Without ray, the message names the extra; with it, the address where nobody answers."""
    with (
        pytest.raises(InputError, match=r"fedtiny\[ray\]|no Ray cluster at 127\.0\.0\.1:1 "),
        executors(None, "127.0.0.1:1") as executor_for,
        executor_for(tmp_path),
    ):
        pytest.fail("it began")


def test_one_process_runs_before_the_sweep_is_known_and_does_its_jobs(tmp_path):
    before = set(multiprocessing.active_children())
    with executors(1, None) as executor_for:
        early = set(multiprocessing.active_children()) - before
        assert len(early) == 1
        with executor_for(tmp_path) as executor:
            assert list(executor(square, [3], square)) == [9]
            assert set(multiprocessing.active_children()) - before == early


def test_a_mistake_before_the_first_job_ends_that_process_at_once():
    begun = []
    with pytest.raises(ScenarioError):
        _begin_and_fail(begun)
    for child in begun:
        child.join(60)
    assert [child.is_alive() for child in begun] == [False]


def _begin_and_fail(begun):
    before = set(multiprocessing.active_children())
    with executors(1, None):
        begun.extend(set(multiprocessing.active_children()) - before)
        raise ScenarioError("wrong")
