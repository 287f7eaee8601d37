"""Confidence intervals over seeds."""

import math

import numpy as np
import pytest

from fedtiny.results.intervals import Interval, mean_interval, paired_difference


def test_an_interval_is_students():
    interval = mean_interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert interval.mean == 3.0
    assert interval.half_width == pytest.approx(2.7764451 * math.sqrt(2.5 / 5), rel=1e-7), "t(0.975, 4) = 2.7764451"
    assert (interval.low + interval.high) / 2 == pytest.approx(3.0)


def test_an_interval_covers_the_true_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    intervals = [mean_interval(generator.normal(2.0, 3.0, size=5).tolist()) for _ in range(4000)]
    assert np.mean([interval.low <= 2.0 <= interval.high for interval in intervals]) == pytest.approx(0.95, abs=0.012)


def test_one_value_has_a_mean_and_no_interval():
    interval = mean_interval([0.5])
    assert interval.mean == 0.5
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)
    assert not interval.excludes_zero


def test_what_seeds_have_in_common_cancels_in_a_paired_difference():
    luck = {0: 0.3, 1: 0.7, 2: 0.1}
    difference = paired_difference({seed: value + 0.02 for seed, value in luck.items()}, luck)
    assert difference.mean == pytest.approx(0.02)
    assert difference.half_width == pytest.approx(0, abs=1e-12)
    assert difference.excludes_zero


def test_an_interval_around_zero_does_not_exclude_it():
    assert not Interval(0.1, -0.1, 0.3, 5).excludes_zero
    assert Interval(-0.2, -0.3, -0.1, 5).excludes_zero


def test_arms_under_different_seeds_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\] and \[1, 2\]"):
        paired_difference({0: 1.0, 1: 2.0}, {1: 1.0, 2: 2.0})


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])
