"""Spreads meet what was published: medians, quantiles and deviations."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.fleet.network import CustomNetwork
from fedtiny.fleet.spread import NORMAL, from_quantiles, log_normal, truncated_normal

SCORES = [NORMAL.inv_cdf((place + 0.5) / 20_000) for place in range(20_000)]
POINTS = ((5.0, 0.2), (25.0, 0.5), (75.0, 2.5), (95.0, 8.0))


def custom(**keys):
    return CustomNetwork.model_validate({"kind": "custom", "latency": "60 ms", "downlink": "8 Mbit/s", "uplink": "1 MB/s", **keys})


@pytest.mark.parametrize(("percentage", "factor"), [*POINTS, (50.0, 1.0)])
def test_what_is_drawn_from_quantiles_has_them_and_the_median(percentage, factor):
    assert from_quantiles(NORMAL.inv_cdf(percentage / 100), POINTS) == pytest.approx(factor)
    sample = sorted(from_quantiles(score, POINTS) for score in SCORES)
    assert sample[int(percentage / 100 * len(sample))] == pytest.approx(factor, rel=2e-3)


@given(st.floats(-6, 6), st.floats(0.01, 3))
def test_the_quantiles_of_a_log_normal_give_the_log_normal(score, sigma):
    points = tuple((percentage, math.exp(sigma * NORMAL.inv_cdf(percentage / 100))) for percentage in (10.0, 90.0))
    assert from_quantiles(score, points) == pytest.approx(log_normal(score, sigma))


@given(st.floats(-8, 8), st.floats(0.01, 3), st.floats(0.05, 0.9), st.floats(1.1, 20))
def test_a_truncated_log_normal_stays_inside_and_keeps_the_order(score, sigma, least, most):
    value = log_normal(score, sigma, least, most)
    assert least <= value <= most
    assert log_normal(score + 0.1, sigma, least, most) >= value


def test_truncation_leaves_the_shape_between_its_bounds():
    least, most, sigma = 0.5, 4.0, 1.0
    sample = sorted(log_normal(score, sigma, least, most) for score in SCORES)
    inside = sorted(value for score in SCORES if least <= (value := math.exp(sigma * score)) <= most)
    for share in (0.1, 0.5, 0.9):
        assert sample[int(share * len(sample))] == pytest.approx(inside[int(share * len(inside))], rel=5e-3)


@pytest.mark.parametrize("deviation", [0.05, 0.37, 0.40, 0.5])
def test_a_truncated_normal_has_the_published_mean_median_and_deviation(deviation):
    sample = [truncated_normal(score, deviation) for score in SCORES]
    assert (statistics.fmean(sample), statistics.median(sample)) == pytest.approx((1.0, 1.0), abs=1e-4)
    assert statistics.pstdev(sample) == pytest.approx(deviation, rel=2e-3)
    assert min(sample) >= 0.05
    assert max(sample) <= 1.95


def test_devices_draw_from_the_quantiles_of_a_network():
    profile = custom(downlink_quantiles="p5 1 Mbit/s, p95 40 Mbit/s").profile()
    assert profile.between("downlink", NORMAL.inv_cdf(0.95)) == pytest.approx(5e6)
    assert profile.between("downlink", 0.0) == pytest.approx(1e6)
    drawn = profile.drawn(np.random.default_rng(1))
    assert drawn.downlink != profile.downlink
    assert not drawn.has_spread


def test_the_spread_of_one_quantity_does_not_change_what_another_draws():
    one = custom(latency_sigma=0.3).profile().drawn(np.random.default_rng(5))
    other = custom(latency_sigma=0.3, downlink_quantiles="p90 20 Mbit/s", uplink_sigma=0.2).profile().drawn(np.random.default_rng(5))
    assert one.latency == other.latency
    assert one.uplink != other.uplink


def test_bounds_hold_for_devices_and_transfers():
    keys = {"downlink_sigma": 2.0, "downlink_minimum": "4 Mbit/s", "downlink_maximum": "16 Mbit/s", "downlink_transfer_sigma": 2.0}
    profile = custom(**keys).profile()
    values = [profile.between("downlink", score) for score in (-5.0, -1.0, 1.0, 5.0)]
    assert all(5e5 <= value <= 2e6 for value in values)
    assert values == sorted(values)
    assert (profile.in_transfer("downlink", -5.0), profile.in_transfer("downlink", 5.0)) == (5e5, 2e6)


def test_quantiles_are_written_as_they_are_read():
    stated = custom(latency_quantiles="p5 3 ms, p95 80 ms", uplink_transfer_quantiles="p5 0.2, p95 3")
    assert CustomNetwork.model_validate(stated.to_plain()) == stated
    assert stated.latency_quantiles == ((5.0, 0.003), (95.0, 0.08))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"downlink_quantiles": "p5 1 Mbit/s, p95 40 ms"}, "unknown unit"),
        ({"downlink_quantiles": "p95 40 Mbit/s, p5 1 Mbit/s"}, "must ascend"),
        ({"downlink_quantiles": "p50 8 Mbit/s"}, "other than the median"),
        ({"downlink_quantiles": "most of them 8 Mbit/s"}, "other than the median"),
        ({"downlink_quantiles": "p5 9 Mbit/s"}, "below p50 must be less"),
        ({"downlink_quantiles": "p5 1 Mbit/s", "downlink_sigma": 1.0}, "give one of them"),
        ({"uplink_transfer_sigma": 0.2, "uplink_transfer_deviation": 0.2}, "give one of them"),
        ({"uplink": "unlimited", "uplink_transfer_sigma": 0.2}, "give it a rate"),
        ({"uplink_maximum": "1 kB/s"}, "it is the median"),
        ({"uplink_transfer_deviation": 0.6}, "less than or equal"),
    ],
)
def test_what_contradicts_itself_is_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        custom(**keys)
