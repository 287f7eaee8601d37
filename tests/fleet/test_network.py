import json
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fedtiny.fleet.catalog import load_network
from fedtiny.fleet.network import CustomNetwork, NetworkOverride, NetworkProfile
from fedtiny.units import UNLIMITED

SIGMAS = ("latency_sigma", "downlink_sigma", "uplink_sigma")


def custom(**keys):
    return CustomNetwork.model_validate({"kind": "custom", "latency": "60 ms", **keys})


def text(unit, smallest):
    return st.floats(min_value=smallest, max_value=1e12, allow_nan=False).map(lambda number: f"{number!r} {unit}")


def test_a_network_without_rates_is_unlimited():
    profile = custom().profile()
    assert profile.latency == 0.06
    assert profile.downlink == profile.uplink == UNLIMITED
    assert (profile.jitter, profile.loss, profile.energy_up, profile.energy_down) == (0.0, 0.0, None, None)
    assert not profile.has_spread
    assert profile.name == "custom"


def test_the_two_directions_are_not_mixed_up():
    profile = custom(downlink="1 Mbit/s", uplink="375 kbit/s", energy_down="1 nJ/B", energy_up="2 nJ/B").profile()
    assert (profile.downlink, profile.uplink, profile.energy_down, profile.energy_up) == (125_000.0, 46_875.0, 1e-9, 2e-9)


def test_the_defaults_in_the_json_schema_are_what_a_scenario_would_write():
    properties = CustomNetwork.model_json_schema()["properties"]
    written = {key: field["default"] for key, field in properties.items() if field.get("default") is not None}
    assert json.loads(json.dumps(written, allow_nan=False)) == written
    assert (written["downlink"], written["uplink"], written["jitter"]) == ("unlimited", "unlimited", "0 s")
    assert custom(**written) == custom()


def test_latency_is_required():
    with pytest.raises(ValidationError, match="latency"):
        CustomNetwork.model_validate({"kind": "custom"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latency", "-1 ms"),
        ("latency", 20),
        ("downlink", "0 B/s"),
        ("loss", 1.0),
        ("loss", -0.1),
        ("loss", math.nan),
        ("jitter", "-1 ms"),
        ("latency_sigma", -0.1),
        ("latency_sigma", math.inf),
        ("bandwidth", "1 MB/s"),
    ],
)
def test_nonsense_is_refused(key, value):
    with pytest.raises(ValidationError) as caught:
        custom(**{key: value})
    assert [error["loc"] for error in caught.value.errors()] == [(key,)]


@pytest.mark.parametrize("key", ["downlink", "uplink"])
def test_an_unlimited_rate_cannot_have_a_spread(key):
    with pytest.raises(ValidationError, match=f"{key} is unlimited"):
        custom(**{f"{key}_sigma": 0.5})


@given(
    latency=text("s", 0.0),
    downlink=st.just("unlimited") | text("B/s", 1e-3),
    uplink=st.just("unlimited") | text("B/s", 1e-3),
    loss=st.floats(min_value=0, max_value=1, exclude_max=True),
    sigma=st.floats(min_value=0, max_value=4),
    energy=st.none() | text("J/B", 0.0),
)
def test_writing_a_network_and_reading_it_again_changes_nothing(latency, downlink, uplink, loss, sigma, energy):
    network = custom(latency=latency, downlink=downlink, uplink=uplink, loss=loss, latency_sigma=sigma, energy_up=energy)
    assert CustomNetwork.model_validate(network.to_plain()) == network
    assert NetworkProfile.model_validate(network.profile().to_plain()) == network.profile()
    assert network.profile().model_dump(exclude={"name"}) == network.model_dump(exclude={"kind"})


def test_the_draws_of_many_devices_have_the_stated_median_and_spread():
    profile = custom(downlink="8 Mbit/s", uplink="1 Mbit/s", latency_sigma=0.3, downlink_sigma=1.1, uplink_sigma=0.7).profile()
    generator = np.random.default_rng(0)
    drawn = [profile.drawn(generator) for _ in range(20_000)]
    for key, sigma in (("latency", 0.3), ("downlink", 1.1), ("uplink", 0.7)):
        logarithms = [math.log(getattr(one, key) / getattr(profile, key)) for one in drawn]
        assert statistics.median(logarithms) == pytest.approx(0.0, abs=0.03)
        assert statistics.stdev(logarithms) == pytest.approx(sigma, rel=0.03)
        assert abs(statistics.fmean(x**3 for x in logarithms)) < 0.1 * sigma


def test_a_drawn_network_has_no_spread_left_and_is_otherwise_the_same():
    profile = load_network("lte_driving")
    drawn = profile.drawn(np.random.default_rng(1))
    assert not drawn.has_spread
    assert [getattr(drawn, key) for key in SIGMAS] == [0.0, 0.0, 0.0]
    untouched = set(NetworkProfile.model_fields) - {*SIGMAS, "downlink_quantiles", "latency", "downlink", "uplink"}
    assert drawn.downlink_quantiles is None
    assert all(getattr(drawn, key) == getattr(profile, key) for key in untouched)
    assert drawn.latency != profile.latency


@given(seed=st.integers(min_value=0, max_value=2**32), sigma=st.floats(min_value=0, max_value=2))
def test_the_spread_of_one_quantity_does_not_touch_the_draws_of_another(seed, sigma):
    plain = custom(downlink="8 Mbit/s", uplink="1 Mbit/s", downlink_sigma=1.0, uplink_sigma=1.0).profile()
    spread = plain.model_copy(update={"latency_sigma": sigma})
    first, second = plain.drawn(np.random.default_rng(seed)), spread.drawn(np.random.default_rng(seed))
    assert (first.downlink, first.uplink) == (second.downlink, second.uplink)


@pytest.mark.parametrize("key", ["latency", "downlink", "uplink"])
def test_an_override_sets_the_median_and_removes_the_spread_of_that_quantity_only(key):
    profile = load_network("lte_driving")
    value, number = ("300 ms", 0.3) if key == "latency" else ("1 MB/s", 1e6)
    changed = NetworkOverride.model_validate({key: value}).applied_to(profile)
    assert changed == profile.model_copy(update={key: number, f"{key}_sigma": 0.0, f"{key}_quantiles": None})


def test_an_override_of_jitter_loss_or_energy_leaves_the_spread():
    profile = load_network("lte_driving")
    changed = NetworkOverride.model_validate({"jitter": "0 s", "loss": 0.5, "energy_up": "0 J/B"}).applied_to(profile)
    assert changed == profile.model_copy(update={"jitter": 0.0, "loss": 0.5, "energy_up": 0.0})
    assert NetworkOverride().applied_to(profile) == profile


def test_an_override_can_make_a_spread_rate_unlimited():
    changed = NetworkOverride.model_validate({"uplink": "unlimited"}).applied_to(load_network("lte_driving"))
    assert changed.uplink == UNLIMITED
    assert NetworkProfile.model_validate(changed.to_plain()) == changed
