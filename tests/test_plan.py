"""The plan of a scenario: its numbers are those of the run, its bottleneck follows from closed forms."""

import json

import pytest

import fedtiny
from fedtiny.cli import main
from fedtiny.plan import plan

SCENARIO = """
name: planned
model: linear
data: {kind: synthetic, examples: 120, test_examples: 4}
training: {batch_size: 5, local_steps: 4}
strategy: fedavg
fleet:
  - {count: 3, device: {kind: custom, memory: 1 GB, step_time: 100 ms, power: {idle: 1 W, active: 3 W}},
     network: {kind: custom, latency: 20 ms, downlink: 1 Mbit/s, uplink: 1 Mbit/s, energy_up: 5 nJ/B}}
  - {count: 2, device: {kind: custom, memory: 1 GB, step_time: 50 ms, power: {idle: 1 W, active: 3 W}},
     network: {kind: custom, latency: 30 ms, downlink: 1 Mbit/s, uplink: 1 Mbit/s}}
stop: {rounds: 5}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "planned.yaml"
    path.write_text(SCENARIO)
    return path


def planned(file, **overrides):
    return plan(fedtiny.load_scenario(file, {"learning": "none", **overrides})).document


def test_its_sums_are_those_of_the_run(file):
    for overrides in ({}, {"strategy": {"kind": "dga", "delay": 6}}, {"stop": {"virtual_time": "3 s"}}, {"network.loss": 0.2}):
        found, result = planned(file, **overrides), fedtiny.run(fedtiny.load_scenario(file, overrides))
        for key in ("rounds", "virtual_time", "bytes_up", "bytes_down", "failures"):
            assert found[key] == result.summary[key]
        assert found["energy"] == pytest.approx(result.summary["energy"], rel=1e-12)


def test_the_energy_of_a_fleet_with_a_device_of_unknown_power_is_unknown(file):
    unknown = {
        "count": 1,
        "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 ms"},
        "network": {"kind": "custom", "latency": "1 s"},
    }
    scenario = fedtiny.load_scenario(file)
    assert planned(file, fleet=[*(group.to_plain() for group in scenario.fleet), unknown])["energy"] is None


def test_a_round_of_fedavg_is_download_steps_and_upload_of_its_slowest_device(file):
    found = planned(file)
    seconds = found["bottleneck"]["seconds_per_round"]
    down, up = found["bytes_down"] / 25, found["bytes_up"] / 25
    assert found["round_seconds"]["median"] == pytest.approx(0.4 + 2 * 0.02 + (down + up) / 125_000)
    assert seconds == pytest.approx({"compute": 0.4, "upload": up / 125_000, "download": down / 125_000, "latency": 0.04})
    assert (found["bottleneck"]["cause"], found["bottleneck"]["device_class"]) == ("compute", "custom on custom")


@pytest.mark.parametrize(
    ("overrides", "cause"),
    [
        ({"network.latency": "2 s"}, "latency"),
        ({"network.uplink": "1 kbit/s"}, "upload"),
        ({"network.downlink": "1 kbit/s"}, "download"),
        ({"device.step_time": "9 s"}, "compute"),
        ({"strategy.timeout": "300 ms", "device": {"step_time": "1 ms"}, "network": {"latency": "140 ms", "jitter": "60 ms"}}, None),
    ],
    ids=str,
)
def test_the_bottleneck_is_what_was_made_slow(file, overrides, cause):
    found = planned(file, **overrides)
    if cause is None:
        assert found["failures"]
        assert "timeout" in found["bottleneck"]["seconds_per_round"]
    else:
        assert found["bottleneck"]["cause"] == cause
        assert found["bottleneck"]["last_round"]["cause"] == cause
    mean = sum(found["bottleneck"]["seconds_per_round"].values())
    assert mean * found["rounds"] == pytest.approx(found["virtual_time"])


def test_latency_that_dga_hides_is_no_bottleneck(file):
    slow = {"network.latency": "300 ms", "stop.rounds": 20}
    assert planned(file, **slow)["bottleneck"]["cause"] == "latency"
    hidden = planned(file, **slow, strategy={"kind": "dga", "delay": 12})
    assert hidden["bottleneck"]["cause"] == "compute"
    assert hidden["round_seconds"]["median"] == pytest.approx(0.4)


def test_a_device_that_waits_for_a_slower_one_stalls(file):
    group = {"device": {"kind": "custom", "memory": "1 GB", "step_time": "10 ms"}, "network": {"kind": "custom", "latency": "500 ms"}}
    slow = {"device": {"kind": "custom", "memory": "1 GB", "step_time": "450 ms"}, "network": {"kind": "custom", "latency": "10 ms"}}
    fleet = [{"count": 1, **group}, {"count": 1, **slow}]
    found = planned(file, fleet=fleet, strategy={"kind": "dga", "delay": 4}, **{"stop.rounds": 20})
    assert found["bottleneck"]["cause"] == "compute"
    assert found["round_seconds"]["median"] == pytest.approx(1.8)


def test_who_fits_and_why_is_said_by_class(file):
    found = planned(file, model="small_cnn", on_out_of_memory="exclude", fleet=[
        {"count": 2, "device": "stm32h743", "network": "wifi_esp32_s3"},
        {"count": 3, "device": {"kind": "custom", "memory": "2 kB", "step_time": "1 ms"}, "network": "lte_static"},
    ])  # fmt: skip
    fits, not_ = found["classes"]
    assert (fits["devices"], fits["profile"], fits["fits"], fits["scheme"]) == (2, "stm32h743", True, "full")
    assert (not_["devices"], not_["fits"], not_["scheme"]) == (3, False, None)
    assert not_["reason"].startswith("full needs")
    assert not_["peak_memory"] > not_["memory_budget"] == 2000
    assert (found["devices"], found["taking_part"]) == (5, 2)


# --- the command ------------------------------------------------------------------------------------------------


def test_the_command_prints_one_document(file, capsys):
    assert main(["plan", str(file), "--set", "stop.rounds=3", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["scenario"], document["rounds"]) == ("planned", 3)


def test_the_command_prints_tables(file, capsys):
    assert main(["plan", str(file), "--set", "stop.target_accuracy=0.9"]) == 0
    shown = capsys.readouterr().out
    for text in ("3 x custom", "median round", "compute of custom on custom", "target_accuracy ends no plan"):
        assert text in shown


def test_a_scenario_with_axes_is_planned_as_a_sweep(file, capsys):
    assert main(["plan", str(file), "--set", "sweep={seed: [1, 2]}"]) == 2
    assert "use --seeds N" in capsys.readouterr().err


def test_a_target_alone_is_an_input_error(file, capsys):
    assert main(["plan", str(file), "--set", "stop={target_accuracy: 0.9}"]) == 2
    assert "stop.rounds=20" in capsys.readouterr().err


def test_no_rounds_is_a_plan_too(file, capsys):
    assert main(["plan", str(file), "--set", "stop.rounds=0"]) == 0
    assert planned(file, **{"stop.rounds": 0})["bottleneck"] is None


def test_help_shows_an_example(capsys):
    assert main(["plan", "--help"]) == 0
    assert "Example: fedtiny plan" in capsys.readouterr().out
