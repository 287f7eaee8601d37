"""Devices of a population are pure functions of seed and number, and are distributed as the population says."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedtiny.fleet.device import DeviceOverride
from fedtiny.fleet.enrolled import devices_of
from fedtiny.fleet.network import NetworkOverride
from fedtiny.fleet.population import Population
from fedtiny.randomness import Streams

CUSTOM = {"kind": "custom", "memory": "64 MB", "step_time": "1 s"}
LINK = {"kind": "custom", "latency": "10 ms", "downlink": "8 Mbit/s", "downlink_sigma": 1.0}
MEMBERS = [
    {
        "share": 3,
        "device": CUSTOM,
        "network": LINK,
        "speed_sigma": 0.5,
        "memory": [{"budget": "1 MB", "share": 1}, {"budget": "2 MB", "share": 3}],
    },
    {"share": 1, "device": "raspberry_pi_4", "network": "lte_driving"},
]
ALL = np.arange(200_000)


def population(count, members=MEMBERS, **keys):
    return Population.model_validate({"count": count, "members": members, **keys})


def enrolled(count, seed=0, device=None, network=None, **keys):
    return devices_of(population(count, **keys), device, network, Streams(seed))


@pytest.fixture(scope="module")
def many():
    return enrolled(len(ALL))


@given(st.integers(0, 400), st.integers(1, 10_000), st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_device_is_the_same_however_many_there_are(number, more, seed):
    assert enrolled(number + 1, seed)[number] == enrolled(number + more, seed)[number]


def test_another_seed_makes_other_devices():
    assert [one.speed for one in enrolled(20, seed=0)] != [one.speed for one in enrolled(20, seed=1)]


def test_a_device_says_who_it_is_and_which_class_it_is_of(many):
    for number in (0, 17, len(ALL) - 1):
        one = many[number]
        assert (one.number, one.index, one.group) == (number, number, many.groups_of(np.array([number]))[0])
        assert one.group_name == many.groups[one.group].name
    assert many[-1] == many[len(ALL) - 1]
    assert many[3:6] == [many[3], many[4], many[5]]
    with pytest.raises(IndexError, match="device 200000 of a population of 200000"):
        many[len(ALL)]


def test_classes_and_budgets_occur_by_their_shares(many):
    """Within five standard deviations of a binomial number."""
    first = many.member_of == 0
    assert abs(first.mean() - 3 / 4) < 5 * math.sqrt(3 / 16 / len(ALL))
    assert abs(many.budget_of[first].mean() - 3 / 4) < 5 * math.sqrt(3 / 16 / first.sum())
    assert not many.budget_of[~first].any()
    assert {many[int(number)].device.memory for number in np.flatnonzero(first)[:50]} == {1e6, 2e6}


@pytest.mark.parametrize(
    ("probability", "normal"), [(0.05, -1.6449), (0.25, -0.6745), (0.5, 0.0), (0.75, 0.6745), (0.95, 1.6449), (0.99, 2.3263)]
)
def test_quantiles_of_speed_are_those_of_the_log_normal(many, probability, normal):
    speeds = many.speeds(np.flatnonzero(many.member_of == 0))
    density = math.exp(-(normal**2) / 2) / math.sqrt(2 * math.pi)
    error = math.sqrt(probability * (1 - probability) / len(speeds)) / density
    assert abs(np.log(np.quantile(speeds, probability)) / 0.5 - normal) < 5 * error


def test_a_member_without_a_spread_is_as_fast_as_its_profile(many):
    assert (many.speeds(np.flatnonzero(many.member_of == 1)) == 1.0).all()


def test_speed_class_and_memory_are_independent(many):
    own = np.flatnonzero(many.member_of == 0)
    logarithms = np.log(many.speeds(own))
    small = many.budget_of[own] == 0
    assert abs(logarithms[small].mean() - logarithms[~small].mean()) < 5 * 0.5 / math.sqrt(small.sum())


def test_bandwidths_are_those_of_the_network_and_independent_of_speed():
    fleet = enrolled(4_000, members=MEMBERS[:1])
    rates = np.log([one.network.downlink / 1e6 for one in fleet])
    assert abs(rates.mean()) < 5 / math.sqrt(len(rates))
    assert abs(rates.std() - 1.0) < 5 / math.sqrt(2 * len(rates))
    assert abs(np.corrcoef(rates, np.log(fleet.speeds(np.arange(len(fleet)))))[0, 1]) < 5 / math.sqrt(len(rates))


def test_an_overridden_memory_is_that_of_all():
    fleet = enrolled(50, device=DeviceOverride.model_validate({"memory": "5 MB"}))
    assert {one.device.memory for one in fleet} == {5e6}


def test_with_an_overridden_step_time_all_are_as_fast():
    fleet = enrolled(50, device=DeviceOverride.model_validate({"step_time": "2 s"}))
    assert {(one.speed, one.device.step_time) for one in fleet} == {(1.0, 2.0)}


def test_an_overridden_rate_is_that_of_all():
    fleet = enrolled(50, network=NetworkOverride.model_validate({"downlink": "1 Mbit/s"}))
    assert {one.network.downlink for one in fleet} == {125_000.0}


def test_all_devices_drop_out_alike():
    assert {one.dropout for one in enrolled(20, dropout=0.3)} == {0.3}


def test_a_network_of_ones_own_takes_the_place_of_a_mixs():
    fleet = devices_of(Population.model_validate({"count": 30, "mix": "flash_phones", "network": "lte_static"}), None, None, Streams(0))
    assert {one.network.name for one in fleet} == {"lte_static"}
