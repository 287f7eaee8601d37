"""Statistics against scipy on data that others have published, and by closed forms."""

import numpy as np
import pytest
from scipy import stats

from fedtiny.results.statistics import Interval, mean_interval, paired_difference, paired_ratio

# hours of sleep gained with two drugs, ten patients each (Student: The probable error of a mean. Biometrika 6(1), 1908, page 20)
FIRST_DRUG = dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]))
SECOND_DRUG = dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]))


@pytest.mark.parametrize("values", [list(FIRST_DRUG.values()), list(SECOND_DRUG.values()), [1.0, 2.0, 3.0, 6.0], [0.81, 0.79]])
def test_the_interval_is_that_of_scipy(values):
    interval = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert interval.mean == pytest.approx(np.mean(values), rel=1e-14)
    assert interval.mean - interval.half_width == pytest.approx(low, rel=1e-12)
    assert interval.mean + interval.half_width == pytest.approx(high, rel=1e-12)


def test_a_paired_difference_is_that_of_scipy():
    difference = paired_difference(SECOND_DRUG, FIRST_DRUG)
    low, high = stats.ttest_rel(list(SECOND_DRUG.values()), list(FIRST_DRUG.values())).confidence_interval(0.95)
    assert difference.mean == pytest.approx(1.58)
    assert (difference.mean - difference.half_width, difference.mean + difference.half_width) == pytest.approx((low, high), rel=1e-12)
    assert low > 0 > stats.ttest_ind(list(SECOND_DRUG.values()), list(FIRST_DRUG.values())).confidence_interval(0.95).low


def test_a_paired_ratio_is_that_of_scipy_on_the_logarithms():
    first, second = {1: 4.0, 2: 9.0, 3: 20.0}, {1: 2.0, 2: 3.0, 3: 5.0}
    ratio = paired_ratio(first, second)
    logarithms = [np.log(list(values.values())) for values in (first, second)]
    low, high = stats.ttest_rel(*logarithms).confidence_interval(0.95)
    assert ratio.mean == pytest.approx(stats.gmean([2.0, 3.0, 4.0]), rel=1e-12)
    assert (ratio.low, ratio.high) == pytest.approx((np.exp(low), np.exp(high)), rel=1e-12)
    assert ratio.count == 3


def test_the_ratio_the_other_way_round_is_the_inverse():
    first, second = {1: 4.0, 2: 9.0, 3: 20.0}, {1: 2.0, 2: 3.0, 3: 5.0}
    there, back = paired_ratio(first, second), paired_ratio(second, first)
    assert (back.mean, back.low, back.high) == pytest.approx((1 / there.mean, 1 / there.high, 1 / there.low), rel=1e-12)


def test_against_itself_differences_and_ratios_are_exact():
    times = {0: 31.7, 1: 0.1, 2: 1e9 / 3}
    assert paired_difference(times, times) == Interval(0.0, 0.0, 3)
    same = paired_ratio(times, times)
    assert (same.mean, same.low, same.high) == (1.0, 1.0, 1.0)


def test_what_seeds_have_in_common_cancels():
    luck = {0: 0.3, 1: 0.7, 2: 0.1}
    difference = paired_difference({seed: value + 0.02 for seed, value in luck.items()}, luck)
    assert difference.mean == pytest.approx(0.02)
    assert difference.half_width == pytest.approx(0, abs=1e-12)
    assert mean_interval(luck.values()).half_width > 0.5


def test_about_95_of_100_intervals_hold_the_mean():
    draws = np.random.default_rng(5).normal(3.0, 2.0, (4000, 4))
    intervals = [mean_interval(row) for row in draws]
    held = np.mean([abs(interval.mean - 3.0) <= interval.half_width for interval in intervals])
    assert held == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 4000))


def test_what_is_not_there_does_not_count():
    assert mean_interval([None, 4.0, float("nan")]) == Interval(4.0, None, 1)
    assert mean_interval([None]) is None
    assert mean_interval([5.0, None, 5.0]) == Interval(5.0, 0.0, 2)
    assert paired_ratio({}, {}) is None


def test_one_pair_has_a_ratio_and_no_interval():
    ratio = paired_ratio({7: 3.0}, {7: 2.0})
    assert (ratio.mean, ratio.low, ratio.high, ratio.count) == (pytest.approx(1.5), None, None, 1)


@pytest.mark.parametrize("compare", [paired_difference, paired_ratio])
def test_runs_of_different_seeds_are_not_paired(compare):
    with pytest.raises(ValueError, match=r"\[0, 1\] and \[1, 2\]"):
        compare({0: 1.0, 1: 2.0}, {1: 1.0, 2: 2.0})


def test_a_ratio_of_nothing_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        paired_ratio({0: 1.0}, {0: 0.0})
