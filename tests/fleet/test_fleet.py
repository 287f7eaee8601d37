import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fedtiny.errors import CatalogError
from fedtiny.fleet.catalog import load_device, load_network
from fedtiny.fleet.device import DeviceOverride
from fedtiny.fleet.fleet import FleetGroup, traits
from fedtiny.fleet.network import NetworkOverride
from fedtiny.randomness import Streams

CUSTOM_DEVICE = {"kind": "custom", "memory": "1 GB", "step_time": "100 ms", "power": {"idle": "1 W", "active": "3 W"}}
CUSTOM_NETWORK = {"kind": "custom", "latency": "60 ms", "uplink": "375 kbit/s", "jitter": "10 ms", "loss": 0.01}


def group(count=3, device="raspberry_pi_4", network="lte_driving"):
    return FleetGroup.model_validate({"count": count, "device": device, "network": network})


GROUPS = st.lists(
    st.builds(
        group,
        st.integers(min_value=1, max_value=5),
        st.sampled_from(["stm32h743", "pixel_7", CUSTOM_DEVICE]),
        st.sampled_from(["lte_driving", "wifi_mobiperf", "nb_iot", CUSTOM_NETWORK]),
    ),
    min_size=1,
    max_size=4,
)


def test_a_bare_text_is_a_name_of_the_catalog():
    assert group().device_profile() == load_device("raspberry_pi_4")
    assert group().network_profile() == load_network("lte_driving")


def test_a_custom_device_and_network_need_no_catalog():
    custom = group(device=CUSTOM_DEVICE, network=CUSTOM_NETWORK)
    assert custom.device_profile().step_time == 0.1
    assert custom.network_profile().uplink == 46_875.0
    assert custom.name == "custom on custom"


@pytest.mark.parametrize(("key", "name", "meant"), [("device", "raspbery_pi4", "raspberry_pi_4"), ("network", "lte_drving", "lte_driving")])
def test_an_unknown_name_is_refused_with_the_nearest_ones_and_how_to_list(key, name, meant):
    with pytest.raises(ValidationError) as caught:
        group(**{key: name})
    said = [error for error in caught.value.errors() if error["type"] == "value_error"]
    assert [error["loc"][0] for error in said] == [key]
    assert isinstance(said[0]["ctx"]["error"], CatalogError)
    for part in (name, meant, f"fedtiny catalog {key}s", "kind: custom"):
        assert part in said[0]["msg"]


@pytest.mark.parametrize("count", [0, -1, 2.0, "3", True])
def test_a_count_is_a_whole_number_above_zero(count):
    with pytest.raises(ValidationError, match="count"):
        group(count=count)


@pytest.mark.parametrize("device", [3, None, ["raspberry_pi_4"], {"memory": "1 GB", "step_time": "1 s"}, {"kind": "catalog"}])
def test_a_device_is_a_name_or_custom(device):
    with pytest.raises(ValidationError, match="device"):
        group(device=device)


@given(GROUPS)
@settings(max_examples=50, deadline=None)
def test_a_fleet_written_as_yaml_and_read_again_is_the_same(groups):
    text = yaml.safe_dump([one.to_plain() for one in groups])
    assert [FleetGroup.model_validate(plain) for plain in yaml.safe_load(text)] == groups


@given(GROUPS, st.integers(min_value=0, max_value=2**63 - 1))
@settings(max_examples=50, deadline=None)
def test_devices_are_numbered_through_and_know_their_group(groups, seed):
    devices = traits(groups, None, None, Streams(seed))
    assert [one.number for one in devices] == list(range(sum(one.count for one in groups)))
    assert [(one.group, one.index) for one in devices] == [(g, i) for g, one in enumerate(groups) for i in range(one.count)]
    assert all(one.group_name == groups[one.group].name for one in devices)
    assert not any(one.network.has_spread for one in devices)


@given(GROUPS, st.integers(min_value=0, max_value=2**63 - 1))
@settings(max_examples=50, deadline=None)
def test_adding_a_device_or_a_group_changes_no_other_device(groups, seed):
    before = {(one.group, one.index): one for one in traits(groups, None, None, Streams(seed))}
    larger = [one.model_copy(update={"count": one.count + 2}) for one in groups] + [group(network="5g_mmwave")]
    after = {(one.group, one.index): one for one in traits(larger, None, None, Streams(seed))}
    assert len(after) == len(before) + 2 * len(groups) + 3
    for identity, one in before.items():
        assert (after[identity].device, after[identity].network) == (one.device, one.network)


def test_the_same_seed_gives_the_same_fleet_and_another_seed_another():
    assert traits([group()], None, None, Streams(7)) == traits([group()], None, None, Streams(7))
    assert traits([group()], None, None, Streams(7)) != traits([group()], None, None, Streams(8))


def test_the_draw_of_a_device_comes_from_its_own_stream():
    devices = traits([group(count=1), group(count=3)], None, None, Streams(5))
    expected = load_network("lte_driving").drawn(Streams(5).numpy("group", 1, "device", 2, "network"))
    assert devices[3].network == expected


def test_devices_of_a_group_differ_where_the_catalog_has_a_spread_and_only_there():
    driving = traits([group(count=20)], None, None, Streams(0))
    assert len({one.network.uplink for one in driving}) == 20
    narrow = traits([group(count=20, network="nb_iot")], None, None, Streams(0))
    assert all(one.network == load_network("nb_iot") for one in narrow)


def test_overriding_latency_removes_its_spread_and_leaves_the_other_draws():
    free = traits([group(count=20)], None, None, Streams(3))
    fixed = traits([group(count=20)], None, NetworkOverride.model_validate({"latency": "300 ms"}), Streams(3))
    assert {one.network.latency for one in fixed} == {0.3}
    assert len({one.network.latency for one in free}) == 20
    assert [(one.network.downlink, one.network.uplink) for one in fixed] == [(one.network.downlink, one.network.uplink) for one in free]


def test_an_override_holds_for_every_group():
    groups = [group(device="stm32h743"), group(device=CUSTOM_DEVICE, network=CUSTOM_NETWORK)]
    override = DeviceOverride.model_validate({"memory": "64 MB"})
    devices = traits(groups, override, NetworkOverride.model_validate({"latency": "1 s"}), Streams(0))
    assert {one.device.memory for one in devices} == {64e6}
    assert {one.network.latency for one in devices} == {1.0}
    assert [one.device.name for one in devices] == ["stm32h743"] * 3 + ["custom"] * 3


def test_the_rates_of_a_spread_network_stay_positive_and_finite():
    devices = traits([group(count=2000, network="5g_nsa_mid_band_static")], None, None, Streams(0))
    assert all(0 < one.network.uplink < 1e12 and 0 < one.network.latency < 10 for one in devices)


def test_a_device_asked_for_by_number_is_the_one_that_the_whole_list_has():
    devices = traits([group(count=3), group(count=1), group(count=4, network="nb_iot")], None, None, Streams(5))
    assert [devices[number] for number in range(len(devices))] == list(devices)
    assert devices[-1] == list(devices)[-1]
    assert devices[2:5] == list(devices)[2:5]
    with pytest.raises(IndexError):
        devices[8]


def test_a_fleet_of_ten_million_devices_is_made_at_once():
    devices = traits([group(count=10_000_000)], None, None, Streams(5))
    assert (len(devices), devices[9_999_999].index) == (10_000_000, 9_999_999)
