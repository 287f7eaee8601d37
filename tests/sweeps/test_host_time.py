import itertools

import pytest

from fedtiny.scenario.files import load_scenario
from fedtiny.sweeps.host_time import Pace, measured_pace


class Ticking:
    """A clock that shows these times, one after the other, and then one second more each time."""

    def __init__(self, *times):
        self.times = itertools.chain(times, itertools.count(times[-1] + 1))

    def __call__(self):
        return next(self.times)


def load(tiny, **changes):
    return load_scenario(tiny(), {"stop.rounds": 1000, **changes})


def test_a_pace_is_the_median_of_the_rounds_behind_the_first_and_what_evaluation_takes_longer(tiny):
    ends = [12.3, 12.5, 13.0, 13.2, 13.4, 13.9]  # each third one evaluates; the first warms up
    pace = measured_pace(load(tiny, **{"evaluation.every": 3}), Ticking(10, 12, *ends))
    assert (pace.start, pace.measured) == (2, 6)
    assert (pace.round, pace.evaluation) == pytest.approx((0.2, 0.3))
    assert pace.seconds(30, 3) == pytest.approx(2 + 30 * 0.2 + 10 * 0.3)


def test_a_run_is_watched_until_it_was_evaluated_but_not_for_ever(tiny):
    quick = Ticking(0, *(index / 10 for index in range(1, 200)))
    assert measured_pace(load(tiny, **{"evaluation.every": 30}), quick).measured == 31
    assert measured_pace(load(tiny, **{"evaluation.every": 30}), Ticking(0, 1)).measured == 9


def test_a_short_run_is_watched_to_its_end(tiny):
    assert measured_pace(load(tiny, **{"stop.rounds": 2}), Ticking(0, 1)) == Pace(1, 1, 0, 2)
    assert measured_pace(load(tiny), Ticking(0, 1), most_rounds=3).measured == 3


def test_a_run_without_rounds_takes_its_start(tiny):
    pace = measured_pace(load(tiny, **{"stop.rounds": 0}), Ticking(0, 1))
    assert (pace.start, pace.seconds(0, 1)) == (1, 1)
