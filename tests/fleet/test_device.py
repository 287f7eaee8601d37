import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fedtiny.fleet.catalog import load_device
from fedtiny.fleet.device import CustomDevice, DeviceOverride, DeviceProfile, Rates

RATES = {"dense_gemm": "8 GMAC/s", "dense_convolution": "4 GMAC/s", "depthwise": "70 MMAC/s", "recurrent": "2 GMAC/s"}


def custom(**keys):
    return CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", **keys})


def positive(unit):
    return st.floats(min_value=1e-6, max_value=1e15, allow_nan=False).map(lambda number: f"{number!r} {unit}")


def test_a_custom_device_by_step_time_has_no_rates():
    profile = custom(step_time="100 ms").profile()
    assert (profile.memory, profile.step_time, profile.rates) == (1e9, 0.1, None)
    assert (profile.name, profile.device_class, profile.runtime, profile.power) == ("custom", "custom", "overlapping", None)


def test_a_custom_device_by_rates_keeps_each_class_apart():
    assert custom(rates=RATES).profile().rates == Rates.model_validate(RATES)
    rates = custom(rates=RATES).profile().rates
    assert (rates.dense_gemm, rates.dense_convolution, rates.depthwise, rates.recurrent) == (8e9, 4e9, 7e7, 2e9)


@pytest.mark.parametrize("keys", [{}, {"step_time": "1 s", "rates": RATES}])
def test_a_device_is_timed_in_exactly_one_way(keys):
    with pytest.raises(ValidationError, match="exactly one of step_time"):
        custom(**keys)


@pytest.mark.parametrize("left_out", sorted(RATES))
def test_a_missing_rate_is_named_and_not_guessed(left_out):
    rates = {key: rate for key, rate in RATES.items() if key != left_out}
    with pytest.raises(ValidationError, match=f"all four classes of operators, missing: {left_out}"):
        custom(rates=rates)


def test_a_misspelt_rate_is_an_unknown_key():
    rates = {("depth_wise" if key == "depthwise" else key): rate for key, rate in RATES.items()}
    with pytest.raises(ValidationError) as caught:
        custom(rates=rates)
    assert {error["type"] for error in caught.value.errors()} == {"extra_forbidden", "missing"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("memory", "0 B"),
        ("memory", 256000),
        ("memory", "256"),
        ("step_time", "0 s"),
        ("step_time", "3 W"),
        ("runtime", "parallel"),
        ("flash", "2 MB"),
        ("power", {"idle": "1 W"}),
    ],
)
def test_nonsense_is_refused(key, value):
    keys = {"step_time": "1 s", key: value}
    with pytest.raises(ValidationError) as caught:
        custom(**keys)
    assert any(key in error["loc"] for error in caught.value.errors())


@given(
    memory=st.integers(min_value=1, max_value=2**50),
    rates=st.fixed_dictionaries({key: positive("MAC/s") for key in RATES}),
    bandwidth=st.none() | positive("B/s"),
    power=st.none() | st.fixed_dictionaries({"idle": positive("W"), "active": positive("W")}),
    runtime=st.sampled_from(["overlapping", "serial"]),
)
def test_writing_a_device_and_reading_it_again_changes_nothing(memory, rates, bandwidth, power, runtime):
    device = custom(memory=f"{memory} B", rates=rates, memory_bandwidth=bandwidth, power=power, runtime=runtime)
    assert CustomDevice.model_validate(device.to_plain()) == device
    profile = device.profile()
    assert DeviceProfile.model_validate(profile.to_plain()) == profile
    assert (profile.memory, profile.rates, profile.memory_bandwidth, profile.power, profile.runtime) == (
        device.memory,
        device.rates,
        device.memory_bandwidth,
        device.power,
        device.runtime,
    )


def test_an_override_changes_only_what_it_states():
    profile = load_device("raspberry_pi_4")
    changed = DeviceOverride.model_validate({"memory": "64 MB"}).applied_to(profile)
    assert changed.memory == 64e6
    assert changed == profile.model_copy(update={"memory": 64e6})
    assert DeviceOverride().applied_to(profile) == profile


def test_an_overriding_step_time_takes_the_place_of_rates():
    changed = DeviceOverride.model_validate({"step_time": "100 ms"}).applied_to(load_device("raspberry_pi_4"))
    assert (changed.step_time, changed.rates) == (0.1, None)


def test_overriding_rates_take_the_place_of_a_step_time():
    changed = DeviceOverride.model_validate({"rates": RATES}).applied_to(custom(step_time="1 s").profile())
    assert changed.step_time is None
    assert changed.rates == Rates.model_validate(RATES)


def test_an_override_cannot_state_both():
    with pytest.raises(ValidationError, match="not both"):
        DeviceOverride.model_validate({"step_time": "1 s", "rates": RATES})


def test_a_device_that_an_override_made_is_a_valid_profile():
    override = DeviceOverride.model_validate({"step_time": "1 s", "runtime": "serial", "power": {"idle": "0 W", "active": "5 W"}})
    changed = override.applied_to(load_device("stm32f746"))
    assert DeviceProfile.model_validate(changed.to_plain()) == changed


SUPERNODE = {"polling_interval": "3 s", "start_up": "4200 ms"}


@pytest.mark.parametrize("key", ["polling_interval", "start_up"])
def test_what_only_a_serial_runtime_has_is_refused_without_one(key):
    with pytest.raises(ValidationError, match=f"{key} is how a serial runtime works: add runtime: serial"):
        custom(step_time="1 s", **{key: "1 s"})
    with pytest.raises(ValidationError, match=f"{key} is how a serial runtime works: add runtime: serial"):
        DeviceOverride.model_validate({key: "1 s"})
    assert getattr(custom(step_time="1 s", runtime="serial", **{key: "1 s"}).profile(), key) == 1.0


def test_an_override_makes_any_device_a_supernode_and_back():
    plain = load_device("raspberry_pi_4")
    changed = DeviceOverride.model_validate({"runtime": "serial", **SUPERNODE}).applied_to(plain)
    assert (changed.runtime, changed.polling_interval, changed.start_up) == ("serial", 3.0, 4.2)
    assert DeviceProfile.model_validate(changed.to_plain()) == changed
    assert DeviceOverride.model_validate({"runtime": "overlapping"}).applied_to(changed) == plain


# --- speed beyond rates, and what happens to a device that is worked hard --------------------------------------------

HARD = {"throttling": {"after": "5 min", "factor": 0.7}, "paging": {"read": "45 MB/s", "write": "20 MB/s", "power": "0.8 W"}}
FINE = {"dispatch_overhead": "5 ms", "group_overhead": "1 ms", "backward_factor": {"depthwise": 1.5}}


def test_a_device_that_says_nothing_of_it_starts_operators_at_once_and_neither_throttles_nor_pages():
    profile = custom(rates=RATES).profile()
    assert (profile.dispatch_overhead, profile.group_overhead, profile.throttling, profile.paging) == (0.0, 0.0, None, None)
    assert set(profile.backward_factor.to_plain().values()) == {1.0}


def test_a_custom_device_states_all_of_it_and_is_read_back_the_same():
    device = custom(rates={**RATES, "attention": "1 GMAC/s"}, **FINE, **HARD)
    assert CustomDevice.model_validate(device.to_plain()) == device
    profile = device.profile()
    assert DeviceProfile.model_validate(profile.to_plain()) == profile
    assert (profile.dispatch_overhead, profile.backward_factor.depthwise, profile.backward_factor.dense_gemm) == (5e-3, 1.5, 1.0)
    assert (profile.throttling.after, profile.throttling.factor) == (300.0, 0.7)
    assert (profile.paging.read, profile.paging.write, profile.paging.power) == (45e6, 20e6, 0.8)
    assert (profile.rates.attention, profile.rates.grouped_convolution, profile.group_overhead) == (1e9, None, 1e-3)


@pytest.mark.parametrize("key", FINE)
def test_a_step_time_knows_no_operators(key):
    with pytest.raises(ValidationError, match=f"{key} is about operators, and a step_time knows none"):
        custom(step_time="1 s", **{key: FINE[key]})


@pytest.mark.parametrize(
    "bad", [{"after": "0 s", "factor": 0.5}, {"after": "1 s", "factor": 0.0}, {"after": "1 s", "factor": 1.2}, {"factor": 0.5}]
)
def test_throttling_is_by_a_share_of_the_speed_after_some_time(bad):
    with pytest.raises(ValidationError):
        custom(step_time="1 s", throttling=bad)


def test_a_scenario_turns_throttling_and_paging_on_and_off():
    plain = custom(rates=RATES).profile()
    changed = DeviceOverride.model_validate({**FINE, **HARD}).applied_to(plain)
    assert changed == custom(rates=RATES, **FINE, **HARD).profile()
    off = DeviceOverride.model_validate({"throttling": False, "paging": False})
    assert off.applied_to(changed) == custom(rates=RATES, **FINE).profile()
    assert DeviceOverride.model_validate(off.to_plain()) == off


def test_a_microcontroller_never_pages_whatever_a_scenario_says():
    changed = DeviceOverride.model_validate(HARD).applied_to(load_device("stm32f746"))
    assert (changed.paging, changed.throttling.factor) == (None, 0.7)
    with pytest.raises(ValidationError, match="a microcontroller has no virtual memory"):
        DeviceProfile.model_validate({**load_device("stm32f746").to_plain(), "paging": HARD["paging"]})


def test_an_overriding_step_time_takes_away_what_is_about_operators():
    changed = DeviceOverride.model_validate({"step_time": "1 s"}).applied_to(custom(rates=RATES, **FINE).profile())
    assert changed == custom(step_time="1 s").profile()
