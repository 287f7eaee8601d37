"""Batteries as a scenario states them: what they hold, when they are charged, and what is refused."""

import math

import pytest
from pydantic import ValidationError

import fedtiny
from fedtiny.errors import ScenarioError
from fedtiny.fleet.battery import Battery, Between, Daily, Plugged, WithSession

HOUR = 3600.0

SCENARIO = """
name: batteries
model: linear
data: {kind: synthetic, examples: 20, test_examples: 4, classes: 3}
strategy: fedavg
fleet:
  - count: 2
    device: {kind: custom, memory: 1 GB, step_time: 1 s, power: {idle: 1 W, active: 3 W}}
    network: {kind: custom, latency: 0 s}
    battery: {capacity: 100 J}
stop: {rounds: 1}
"""


def load(tmp_path, text):
    file = tmp_path / "batteries.yaml"
    file.write_text(text)
    return fedtiny.load_scenario(file)


@pytest.mark.parametrize(
    ("text", "joules"), [("15 Wh", 54_000.0), ("20 J", 20.0), ("4000 mAh x 3.85 V", 55_440.0), ("2 Ah x 3700 mV", 26_640.0)]
)
def test_a_capacity_is_energy_or_charge_times_voltage(text, joules):
    assert Battery.model_validate({"capacity": text}).capacity == pytest.approx(joules, rel=1e-15)


@pytest.mark.parametrize(
    "text", ["0 J", "-3 Wh", "4000 mAh", "3.85 V", "3.85 V x 4000 mAh", "4000 mAh x 0 V", "12", 12, "1 Ah x 1 V x 1 V"]
)
def test_what_is_no_energy_is_refused(text):
    with pytest.raises(ValidationError):
        Battery.model_validate({"capacity": text})


def test_a_battery_is_written_as_it_is_read():
    battery = Battery.model_validate(
        {
            "capacity": "10 Wh",
            "initial": {"least": 0.2, "most": 0.9},
            "charging": {"kind": "daily", "power": "5 W", "begins": 22.5, "ends": 6},
        }
    )
    assert Battery.model_validate(battery.to_plain()) == battery


def test_the_charge_at_the_start_is_spread_evenly():
    battery = Battery.model_validate({"capacity": "10 J", "initial": {"least": 0.2, "most": 0.8}})
    assert [battery.initial_joules(uniform) for uniform in (0.0, 0.5, 1.0)] == pytest.approx([2.0, 5.0, 8.0])
    assert Battery.model_validate({"capacity": "10 J", "initial": 0.3}).initial_joules(0.9) == pytest.approx(3.0)
    with pytest.raises(ValidationError, match="swap them"):
        Between(least=0.5, most=0.4)


def test_a_charger_says_what_it_gives_and_until_when():
    night = Daily.model_validate({"kind": "daily", "power": "5 W", "begins": 22.0, "ends": 6.0, "starts_at": 20.0})
    assert night.watts(0.0, online=False) == (0.0, 2 * HOUR)
    assert night.watts(2 * HOUR, online=True) == (5.0, 10 * HOUR)
    assert night.watts(math.nextafter(10 * HOUR, 0.0), online=True) == (5.0, 10 * HOUR)
    assert night.watts(10 * HOUR, online=True) == (0.0, 26 * HOUR)
    assert night.watts(1000 * 24 * HOUR, online=True) == (0.0, (1000 * 24 + 2) * HOUR)
    assert Plugged.model_validate({"kind": "plugged", "power": "5 W"}).watts(7.0, online=False) == (5.0, math.inf)
    session = WithSession.model_validate({"kind": "session", "power": "5 W"})
    assert [session.watts(7.0, online=online)[0] for online in (True, False)] == [5.0, 0.0]
    with pytest.raises(ValidationError, match="plugged"):
        Daily.model_validate({"kind": "daily", "power": "5 W", "begins": 6, "ends": 6})


def test_a_battery_needs_a_device_whose_power_is_known(tmp_path):
    without = SCENARIO.replace(", power: {idle: 1 W, active: 3 W}", "")
    with pytest.raises(ScenarioError, match=r"nobody knows what custom draws.*give it a power"):
        fedtiny.run(load(tmp_path, without))
    given = load(tmp_path, without + "device: {power: {idle: 1 W, active: 3 W}}\n")
    assert fedtiny.run(given).devices["charge_at_end"].to_pylist() != [None, None]


def test_a_radio_that_wakes_needs_powers_that_are_known(tmp_path):
    sleeps = SCENARIO.replace("latency: 0 s", "latency: 0 s, radio_states: {inactivity: 1 s, promotion: 1 s}")
    with pytest.raises(ScenarioError, match="promotion_power"):
        fedtiny.run(load(tmp_path, sleeps))


def test_charging_with_sessions_needs_an_availability(tmp_path):
    charged = SCENARIO.replace("{capacity: 100 J}", "{capacity: 100 J, charging: {kind: session, power: 1 W}}")
    with pytest.raises(ScenarioError, match="never leave"):
        fedtiny.run(load(tmp_path, charged))


def test_devices_of_a_population_have_no_batteries(tmp_path):
    drawn = (
        SCENARIO[: SCENARIO.index("fleet:")] + "fleet: {kind: population, count: 5, mix: x, battery: {capacity: 1 J}}\nstop: {rounds: 1}\n"
    )
    with pytest.raises(ScenarioError, match="no batteries"):
        load(tmp_path, drawn)


def test_too_many_batteries_are_refused(tmp_path):
    many = SCENARIO.replace("count: 2", "count: 100001") + "learning: none\n"
    with pytest.raises(ScenarioError, match="too many"):
        fedtiny.run(load(tmp_path, many))
