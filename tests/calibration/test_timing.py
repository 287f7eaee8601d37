"""Timing in turns, with a clock that the test moves."""

import pytest

from fedtiny.calibration.timing import MOST_TURNS, TIMED_IN_A_TURN, affordable, first_seconds, timed


class Time:
    """A clock, and steps that take so long."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def step(self, name, seconds):
        def take():
            self.calls.append(name)
            self.now += seconds() if callable(seconds) else seconds

        return take


def test_steps_take_turns_each_begun_by_one_that_is_not_timed():
    time = Time()
    timed([time.step("a", 1.0), time.step("b", 2.0)], time, 0.0, 2)
    turn = ["a"] * (TIMED_IN_A_TURN + 1) + ["b"] * (TIMED_IN_A_TURN + 1)
    assert time.calls == turn * 2


def test_the_median_counts_and_not_the_step_before_it():
    time = Time()
    takes = iter([9.0, 1.0, 5.0, 1.0] * 5)
    (found,) = timed([time.step("a", lambda: next(takes))], time, 0.0, 5)
    assert (found.seconds, found.spread, found.times) == (1.0, 4.0, 15)


def test_as_many_turns_as_the_time_allows_and_no_more_than_are_useful():
    time = Time()
    (found,) = timed([time.step("a", 1.0)], time, 40.0, 2)
    assert found.times == 10 * TIMED_IN_A_TURN
    (found,) = timed([time.step("a", 1.0)], time, 1e9, 2)
    assert found.times == MOST_TURNS * TIMED_IN_A_TURN


def test_progress_ends_where_it_said_it_would():
    time, told = Time(), []
    timed([time.step("a", 1.0), time.step("b", 1.0)], time, 30.0, 2, lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == len(told)


def test_the_first_look_ends_when_its_time_is_over_but_sees_one():
    time = Time()
    assert first_seconds([time.step("a", 1.0)] * 10, time, 5.0) == [1.0] * 3
    assert first_seconds([time.step("a", 1.0)] * 10, time, 0.0) == [1.0]


@pytest.mark.parametrize(("seconds", "kept"), [(1e9, [0, 1, 2]), (36.0, [0, 2]), (35.9, [2]), (0.0, [2])])
def test_the_longest_steps_are_left_out_where_time_is_short(seconds, kept):
    # a turn has four steps, so three turns take 12 times as long as a step
    assert affordable([2.0, 5.0, 1.0], seconds, 3) == kept
