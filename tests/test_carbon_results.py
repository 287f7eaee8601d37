"""Emissions: joules over 3.6e6 times the grid's grams per kilowatt-hour, where somebody says which grid."""

import json

import pytest

import fedtiny
from fedtiny.cli import main
from fedtiny.errors import InputError
from fedtiny.plan import plan

SCENARIO = """
name: emissions
model: linear
data: {kind: synthetic, examples: 40, test_examples: 4, classes: 2}
strategy: fedavg
learning: none
fleet:
  - {count: 2, device: {kind: custom, memory: 1 GB, step_time: 1 s, power: {idle: 1 W, active: 9 W}}, network: {kind: custom, latency: 1 s}}
  - {count: 1, device: {kind: custom, memory: 1 GB, step_time: 3 s, power: {idle: 2 W, active: 5 W}}, network: {kind: custom, latency: 1 s}}
stop: {rounds: 3}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "emissions.yaml"
    path.write_text(SCENARIO)
    return path


def ran(file, **overrides):
    scenario = fedtiny.load_scenario(file, overrides)
    result = fedtiny.run(scenario)
    planned, emitted = plan(scenario).document.get("carbon"), result.summary.get("carbon")
    assert planned == (None if emitted is None else pytest.approx(emitted, rel=1e-12))
    return result


def test_nothing_is_stated_of_a_grid_that_nobody_named(file, tmp_path):
    result = ran(file)
    assert "carbon" not in result.summary
    assert "carbon" not in result.devices.column_names


@pytest.mark.parametrize("text", ["360 g/kWh", "0.36 kg/kWh", "360 kg/MWh"])
def test_a_kilowatt_hour_emits_the_intensity_of_the_grid(file, text):
    result = ran(file, carbon_intensity=text)
    assert result.summary["carbon"] == pytest.approx(result.summary["energy"] * 1e-4, rel=1e-12)
    assert result.devices["carbon"].to_pylist() == pytest.approx([joules * 1e-4 for joules in result.devices["energy"].to_pylist()])
    assert sum(result.devices["carbon"].to_pylist()) == pytest.approx(result.summary["carbon"], rel=1e-9)


def test_a_group_can_be_on_another_grid(file):
    result = ran(file, carbon_intensity="360 g/kWh", **{"fleet.1.carbon_intensity": "36 g/kWh"})
    energy = result.devices["energy"].to_pylist()
    assert result.devices["carbon"].to_pylist() == pytest.approx([energy[0] * 1e-4, energy[1] * 1e-4, energy[2] * 1e-5])
    assert result.summary["carbon"] == pytest.approx(sum(result.devices["carbon"].to_pylist()), rel=1e-9)


def test_a_group_on_an_unknown_grid_makes_the_sum_unknown(file):
    result = ran(file, **{"fleet.1.carbon_intensity": "36 g/kWh"})
    assert result.summary["carbon"] is None
    assert [grams is None for grams in result.devices["carbon"].to_pylist()] == [True, True, False]


def test_emissions_are_those_up_to_the_last_version(file):
    result = ran(file, carbon_intensity="400 g/kWh", stop={"virtual_time": "13 s"})
    assert result.summary["carbon"] == pytest.approx(result.summary["energy"] * 400 / 3.6e6, rel=1e-12)
    assert result.summary["carbon"] < sum(result.devices["carbon"].to_pylist())


def test_a_population_is_on_one_grid(file):
    members = [{"share": 1, "device": "redmi_note_8", "network": "wifi_mobiperf"}]
    fleet = {"kind": "population", "count": 50, "members": members}
    data = {"kind": "synthetic", "examples": 40, "test_examples": 4, "partition": {"kind": "with_replacement", "examples": 5}}
    result = ran(file, fleet=fleet, data=data, carbon_intensity="500 g/kWh")
    assert result.summary["carbon"] == pytest.approx(result.summary["energy"] * 500 / 3.6e6, rel=1e-12)


def test_a_run_is_read_back_with_its_emissions(file, tmp_path):
    result = ran(file, carbon_intensity="400 g/kWh")
    fedtiny.write_run(result, tmp_path / "run")
    assert fedtiny.read_run(tmp_path / "run").devices.equals(result.devices)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["summary"]["carbon"] == result.summary["carbon"]


def test_the_commands_and_the_report_say_what_was_emitted(file, tmp_path, capsys):
    assert main(["run", str(file), "--set", "carbon_intensity=400 g/kWh", "--out", str(tmp_path / "run")]) == 0
    assert "CO2e" in capsys.readouterr().out
    assert "CO2e" in (tmp_path / "run" / "report.html").read_text()
    assert main(["plan", str(file), "--set", "carbon_intensity=400 g/kWh"]) == 0
    assert "CO2e" in capsys.readouterr().out
    assert main(["run", str(file), "--out", str(tmp_path / "other")]) == 0
    assert "CO2e" not in capsys.readouterr().out + (tmp_path / "other" / "report.html").read_text()


@pytest.mark.parametrize(("text", "problem"), [("400", "unit"), ("400 g", "unknown unit"), ("-1 g/kWh", "at least 0")])
def test_an_intensity_without_its_unit_is_refused(file, text, problem):
    with pytest.raises(InputError, match=problem):
        fedtiny.load_scenario(file, {"carbon_intensity": text})
