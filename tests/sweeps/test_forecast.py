"""What is left of a sweep follows from what its cells took, whatever order they came in."""

from types import SimpleNamespace

import pytest

from fedtiny.sweeps.cell import Outcome
from fedtiny.sweeps.forecast import Forecast


def cells(names):
    return [SimpleNamespace(id=name) for name in names]


def forecast(names, first, work, at_once):
    clock = SimpleNamespace(now=100.0)
    found = Forecast(lambda: clock.now)
    found.begin(cells(names), cells(first), work, lambda: at_once)
    return found, clock


def done(name, seconds):
    return Outcome(name, "done", host_seconds=seconds)


def test_the_longest_come_first_and_what_is_left_is_the_work_that_is_left():
    found, clock = forecast("abcd", "abcd", {"a": 8.0, "b": 4.0, "c": 2.0, "d": 2.0}, 1)
    assert found.left() is None
    clock.now += 80
    found.note(done("a", 80.0))
    assert found.left() == pytest.approx(80)
    clock.now += 40
    found.note(done("b", 40.0))
    assert found.left() == pytest.approx(40)


def test_what_runs_beside_a_cell_that_ended_has_been_running_too():
    found, clock = forecast("abcd", "abcd", {}, 2)
    clock.now += 10
    found.note(done("a", 10.0))
    assert found.left() == pytest.approx(10)
    clock.now += 4
    assert found.left() == pytest.approx(6)


def test_cells_that_read_have_a_pace_of_their_own():
    found, clock = forecast("abcdef", "ad", {"a": 5.0, "d": 5.0}, 1)
    clock.now += 50
    found.note(done("a", 50.0))
    assert found.left() == pytest.approx(250)  # nothing is known of the others yet
    clock.now += 5
    found.note(done("b", 5.0))
    assert found.left() == pytest.approx(50 + 3 * 5)


def test_failed_and_infeasible_cells_leave_without_a_pace_and_an_overdue_end_is_not_zero():
    found, clock = forecast("abc", "abc", {}, 1)
    found.note(Outcome("a", "failed", host_seconds=0.1))
    found.note(Outcome("z", "infeasible"))
    assert found.left() is None
    clock.now += 10
    found.note(done("b", 10.0))
    assert found.left() == pytest.approx(10)
    clock.now += 30
    assert found.left() is None
    found.note(done("c", 40.0))
    assert found.left() is None
