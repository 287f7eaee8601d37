"""How the server tells a client that waited from a reply that was late."""

import math

import numpy as np
import pytest

from fedtiny.strategies.client_course import ClientCourse, Doubt, slope_below

STEP = 0.1


def doubt(number, came, *, begun, apparent=True):
    return Doubt(number, begun, 5 * number, pushed=0.0, before=came, free=came - 0.5, came=came, is_apparent=apparent)


def test_what_a_client_waited_is_in_its_later_replies_and_what_a_reply_was_late_is_not():
    waited, late = ClientCourse(), ClientCourse()
    for course in (waited, late):
        course.doubt(doubt(3, 10.0, begun=15))
    waited.sees(20, 10.5)
    late.sees(20, 9.9)
    ((_, _, on_time),), ((_, free, earlier),) = waited.settled(3, STEP), late.settled(3, STEP)
    assert on_time == pytest.approx(10.0)
    assert earlier == pytest.approx(9.4)
    assert free == pytest.approx(9.4)


def test_doubts_are_settled_in_order_and_only_as_far_as_is_asked_for():
    course = ClientCourse()
    course.doubt(doubt(3, 10.0, begun=15))
    course.sees(20, 10.5)
    course.doubt(doubt(4, 10.5, begun=20, apparent=False))
    assert [found.round for found, _, _ in course.settled(3, STEP)] == [3]
    assert not course.is_in_doubt
    course.sees(25, 11.0)
    assert [found.round for found, _, _ in course.settled(9, STEP)] == [4]
    assert course.seen == []


def test_a_reply_that_is_told_of_too_early_waits_for_the_sum_before_it():
    course = ClientCourse(outstanding={4: 1.0, 5: 2.0})
    assert not course.lacks_one_before(4)
    assert course.lacks_one_before(5)
    course.early = [(5, 20.0), (6, 30.0)]
    assert course.answered(4) == 1.0
    assert course.no_longer_early() == [(5, 20.0)]
    assert course.answered(5) == 2.0
    assert course.no_longer_early() == [(6, 30.0)]


def test_a_sum_that_did_not_come_before_a_later_one_is_not_waited_for():
    course = ClientCourse(outstanding={4: 1.0, 5: 2.0})
    assert course.answered(5) == 2.0
    assert course.outstanding == {}
    assert course.answered(4) is None


def test_the_line_below_goes_by_the_replies_that_were_not_late():
    generator = np.random.default_rng(0)
    done = np.arange(0, 165, 5)
    came = 3.0 + STEP * done
    late = came + np.where(generator.random(len(done)) < 0.7, generator.uniform(0.5, 2.0, len(done)), 0.0)
    assert slope_below([(0, 3.0), (5, 3.5)]) == pytest.approx(STEP)
    assert slope_below(list(zip(done.tolist(), late.tolist(), strict=True))) == pytest.approx(STEP, rel=0.02)
    fitted = float(np.polyfit(done, late, 1)[0])
    assert abs(slope_below(list(zip(done.tolist(), late.tolist(), strict=True))) - STEP) < abs(fitted - STEP)


def test_a_step_is_known_better_after_more_rounds_without_waiting():
    course = ClientCourse(step=0.3)
    for number in range(5):
        assert course.step == 0.3
        course.runs_on(5 * number, 2.0 + STEP * 5 * number)
    assert course.step == pytest.approx(STEP)
    course.doubt(doubt(6, 10.0, begun=30))
    assert course.stretch == []
    assert math.isinf(course.pushed)
