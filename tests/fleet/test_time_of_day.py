"""The time of day: exact transfer times over hours with different rates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.fleet.network import CustomNetwork
from fedtiny.fleet.time_of_day import DAY, HOUR, TimeOfDay

EVENING = TimeOfDay(starts_at=18.5, rates=(1.0,) * 19 + (0.5, 0.25) + (1.0,) * 3)
FACTORS = st.lists(st.floats(0.01, 10), min_size=24, max_size=24).map(tuple)


def test_a_transfer_over_several_hours_takes_what_each_of_them_allows():
    # half an hour at 1, an hour at a half, an hour at a quarter: 0.5 + 0.5 + 0.25 hours of work, and 0.75 more at 1
    assert EVENING.seconds(0.0, 2.0 * HOUR) == pytest.approx((0.5 + 1 + 1 + 0.75) * HOUR)


def test_midnight_is_followed_by_the_first_hour_and_days_repeat():
    night = TimeOfDay(starts_at=23.0, rates=(2.0, *(1.0,) * 23))
    assert night.seconds(0.0, 2 * HOUR) == pytest.approx(1.5 * HOUR)
    assert night.seconds(5 * DAY, 2 * HOUR + 3 * 25 * HOUR) == pytest.approx(1.5 * HOUR + 3 * DAY)


@pytest.mark.parametrize(
    ("now", "factor"), [(0.0, 1.0), (0.5 * HOUR, 0.5), (1.5 * HOUR - 1e-6, 0.5), (1.5 * HOUR, 0.25), (DAY + HOUR, 0.5)]
)
def test_the_factor_is_that_of_the_hour(now, factor):
    assert EVENING.rate_factor(now) == factor


@given(FACTORS, st.floats(0, 23.99), st.floats(0, 3 * DAY), st.floats(0, 5 * DAY))
def test_work_and_seconds_undo_each_other(rates, starts_at, begin, work):
    day = TimeOfDay(starts_at=starts_at, rates=rates)
    assert day.work(begin, day.seconds(begin, work)) == pytest.approx(work, rel=1e-9, abs=1e-6)


@given(FACTORS, st.floats(0, 2 * DAY), st.floats(0, DAY), st.floats(0, DAY))
def test_a_transfer_in_two_parts_takes_as_long_as_in_one(rates, begin, first, second):
    day = TimeOfDay(rates=rates)
    middle = day.seconds(begin, first)
    assert middle + day.seconds(begin + middle, second) == pytest.approx(day.seconds(begin, first + second), rel=1e-9, abs=1e-5)


@given(st.floats(0, 23.99), st.floats(0, 10 * DAY))
def test_the_next_hour_is_at_most_an_hour_away(starts_at, now):
    assert 0 < TimeOfDay(starts_at=starts_at).next_hour(now) <= HOUR


@pytest.mark.parametrize("rates", [[1.0] * 23, [0.0] + [1.0] * 23, [-1.0] * 24])
def test_there_are_twenty_four_factors_above_0(rates):
    with pytest.raises(ValueError, match="rates"):
        CustomNetwork.model_validate({"kind": "custom", "latency": "0 s", "time_of_day": {"rates": rates}})
