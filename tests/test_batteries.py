"""Runs of devices on batteries: energy adds up, a plan is the run, and a device's battery is its own."""

from pathlib import Path

import pyarrow.compute as pc
import pytest
from typer.testing import CliRunner

import fedtiny
from fedtiny.cli import app
from fedtiny.plan import plan
from fedtiny.results.folder import read_run
from fedtiny.sweeps.run_folder import run_into

RUN = """
name: batteries
model: linear
data: {kind: synthetic, examples: 67, test_examples: 4, classes: 3}
training: {batch_size: 5, local_steps: 4}
strategy: fedavg
fleet:
  - count: 3
    device: &device {kind: custom, memory: 1 GB, step_time: 1 s, power: {idle: 400 mW, active: 3 W}}
    network: &network {kind: custom, latency: 70 ms, downlink: 2 kbit/s, uplink: 5 kbit/s, energy_up: 1 mJ/B, energy_down: 2 mJ/B}
    battery: &battery {capacity: 40 J, initial: {least: 0.3, most: 1.0}, charging: {kind: plugged, power: 500 mW}, refuses_below: 0.2}
stop: {rounds: 6}
"""

DUTY = "availability: {kind: duty_cycle, on: 7 s, off: 3 s}"
STATES = "radio_states: {inactivity: 5 s, promotion: 1 s, promotion_power: 300 mW, tail_power: 200 mW}"
VARIANTS = {
    "plugged": RUN,
    "leaving": RUN.replace("battery: &", f"{DUTY}\n    battery: &"),
    "sessions": RUN.replace("battery: &", f"{DUTY}\n    battery: &").replace("plugged", "session"),
    "failing": RUN.replace("battery: &", "availability: {kind: duty_cycle, on: 40 s, off: 3 s, on_leave: fail}\n    battery: &").replace(
        "rounds: 6", "virtual_time: 300 s"
    )
    + "strategy: fedbuff\n",
    "delayed": RUN.replace("strategy: fedavg", "strategy: {kind: dga, delay: 2}").replace("40 J", "25 J"),
    "radio": RUN.replace("energy_up", f"{STATES}, energy_up"),
    "radio and leaving": RUN.replace("energy_up", f"{STATES}, energy_up").replace("battery: &", f"{DUTY}\n    battery: &"),
    "cut": RUN.replace("rounds: 6", "virtual_time: 27 s"),
    "shared": RUN.replace("rounds: 6", "virtual_time: 90 s") + "server: {downlink: 3 kbit/s}\n",
    "never charged": RUN.replace("charging: {kind: plugged, power: 500 mW}, ", "").replace("rounds: 6", "virtual_time: 300 s")
    + "strategy: fedbuff\n",
    "jitter": RUN.replace("latency: 70 ms", "latency: 70 ms, jitter: 30 ms, loss: 0.2"),
    "serial": RUN.replace("step_time: 1 s", "step_time: 1 s, runtime: serial, polling_interval: 3 s, start_up: 1 s"),
    "mixed": RUN.replace("stop:", "  - {count: 2, device: *device, network: *network}\nstop:"),
}


def load(tmp_path: Path, text: str, **overrides):
    file = tmp_path / "batteries.yaml"
    # a key that is stated twice holds as it is stated last
    lines = [line for line in text.splitlines() if not (line == "strategy: fedavg" and "strategy: fedbuff" in text)]
    file.write_text("\n".join(lines))
    return fedtiny.load_scenario(file, overrides)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_battery_gives_what_the_activities_cost_in_plans_and_in_runs(tmp_path, name):
    loaded = load(tmp_path, VARIANTS[name])
    learned, timed = fedtiny.run(loaded), fedtiny.run(loaded.model_copy(update={"learning": "none"}))
    assert timed.activities.equals(learned.activities)
    assert timed.devices.drop_columns("label_examples").equals(learned.devices.drop_columns("label_examples"))
    assert timed.charges.equals(learned.charges)
    devices = [row for row in learned.devices.to_pylist() if row["battery_capacity"] is not None]
    assert len(devices) == 3
    for row in devices:
        balance = row["charge_at_start"] + row["charged"] - row["energy"]
        assert balance == pytest.approx(row["charge_at_end"], abs=1e-9 * row["energy"])
        own = learned.activities.filter(pc.field("device") == row["device"])
        assert pc.sum(own["energy"]).as_py() == pytest.approx(row["energy"], rel=1e-9)
        assert row["charge_at_end"] <= row["battery_capacity"]
    assert sum(row["times_empty"] for row in devices) > 0
    assert plan(loaded).document["energy"] == pytest.approx(float(learned.rounds["energy"][-1].as_py()), rel=1e-9)


def test_time_off_is_offline_and_counted_as_such(tmp_path):
    result = fedtiny.run(load(tmp_path, RUN, learning="none"))
    offline = result.activities.filter(pc.field("kind") == "offline")
    for row in result.devices.to_pylist():
        own = offline.filter(pc.field("device") == row["device"])
        assert own.num_rows == row["times_empty"] > 0
        assert pc.sum(pc.subtract(own["end"], own["start"])).as_py() == pytest.approx(row["time_empty"], rel=1e-12)
    assert result.attribution["critical_path"]["offline"] > 0.0
    assert result.attribution["stalls"]["offline"] > 0.0


def test_a_device_below_its_level_is_not_asked(tmp_path):
    result = fedtiny.run(
        load(tmp_path, RUN.replace("refuses_below: 0.2", "refuses_below: 0.95").replace("least: 0.3", "least: 0.9"), learning="none")
    )
    trained = result.activities.filter((pc.field("kind") == "train") & (pc.field("round") == 1))
    full = [row["device"] for row in result.devices.to_pylist() if row["charge_at_start"] >= 0.95 * 40]
    assert 0 < len(full) < 3
    assert sorted(set(trained["device"].to_pylist())) == full


def test_the_charge_at_the_start_depends_on_seed_group_and_index_alone(tmp_path):
    def charges(text, **overrides):
        return fedtiny.run(load(tmp_path, text, learning="none", **overrides)).devices["charge_at_start"].to_pylist()

    few = charges(RUN, **{"stop.rounds": 0})
    more = charges(RUN.replace("count: 3", "count: 5") + "", **{"stop.rounds": 0})
    second = "  - {count: 2, device: *device, network: *network, battery: *battery}\nstop:"
    behind = charges(RUN.replace("stop:", second), **{"stop.rounds": 0})
    behind_more = charges(RUN.replace("count: 3", "count: 5").replace("stop:", second), **{"stop.rounds": 0})
    assert few == more[:3] == behind[:3]
    assert behind_more == [*more, *behind[3:]]
    assert len(set(behind)) == 5
    assert charges(RUN, seed=1, **{"stop.rounds": 0}) != few
    assert charges(RUN, strategy="fedbuff", **{"stop.rounds": 0}) == few


def test_runs_without_batteries_say_nothing_of_them(tmp_path):
    plain = "\n".join(line for line in RUN.splitlines() if "battery:" not in line)
    result = run_into(tmp_path / "run", load(tmp_path, plain, **{"stop.rounds": 1}))
    assert "charge_at_end" not in result.devices.column_names
    assert not (tmp_path / "run" / "charges.parquet").exists()
    assert not any("batter" in note for note in result.notes)


def test_a_run_with_batteries_is_read_as_it_was_written_and_reported(tmp_path):
    load(tmp_path, VARIANTS["mixed"])
    done = CliRunner().invoke(app, ["run", str(tmp_path / "batteries.yaml"), "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    assert "3 of 3 devices" in done.output
    result = read_run(tmp_path / "run")
    assert result.devices["charge_at_end"].null_count == 2
    assert set(result.charges["group"].to_pylist()) == {0}
    assert result.charges.num_rows == 7
    assert any("3 of 3 devices with batteries ran empty" in note for note in result.notes)
    html = (tmp_path / "run" / "report.html").read_text()
    assert "Batteries" in html
    assert (tmp_path / "run" / "figures" / "charge_over_time.svg").is_file()
