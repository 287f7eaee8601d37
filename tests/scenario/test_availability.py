"""What a scenario says of availability: its keys, its file, and where it is wrong."""

import hashlib

import pytest
import yaml

import fedtiny
from fedtiny.errors import ScenarioError
from fedtiny.preparation import check
from fedtiny.scenario.files import load_scenario, resolved_yaml
from fedtiny.scenario.schema import Scenario

TEXT = """
name: comings
model: linear
data: {kind: synthetic, examples: 40, test_examples: 4, classes: 3}
strategy: fedavg
fleet:
  - {count: 2, device: raspberry_pi_4, network: lte_driving}
  - count: 3
    device: raspberry_pi_4
    network: lte_driving
    availability: AVAILABILITY
stop: {rounds: 2}
"""


def written(tmp_path, availability):
    file = tmp_path / "comings.yaml"
    file.write_text(TEXT.replace("AVAILABILITY", availability))
    return file


@pytest.mark.parametrize(
    "availability",
    [
        "{kind: always}",
        "{kind: duty_cycle, on: 10 min, off: 1 h}",
        "{kind: duty_cycle, on: 10 min, off: 1 h, phase: 2 min, on_leave: fail, noticed_after: 48 s}",
        "{kind: markov, mean_on: 1 h, mean_off: 30 min, resume_transfers: false}",
        "{kind: sessions}",
        "{kind: sessions, session: {kind: log_normal, median: 345 s, sigma: 2.7}, merge_gaps: 60 s}",
    ],
)
def test_what_is_said_is_resolved_and_read_again(tmp_path, availability):
    loaded = load_scenario(written(tmp_path, availability))
    assert Scenario.model_validate(yaml.safe_load(resolved_yaml(loaded))) == loaded
    again = tmp_path / "again.yaml"
    again.write_text(resolved_yaml(loaded))
    assert load_scenario(again) == loaded
    assert loaded.fleet[0].availability.kind == "always"


def test_a_trace_is_named_from_the_scenarios_folder_and_kept_with_its_digest(tmp_path):
    trace = tmp_path / "phones.csv"
    trace.write_text("device,start,end\na,0,50\na,60,100\n")
    loaded = load_scenario(written(tmp_path, "{kind: trace, path: phones.csv}"))
    kept = loaded.fleet[1].availability
    assert kept.path == str(trace)
    assert kept.sha256 == hashlib.sha256(trace.read_bytes()).hexdigest()
    trace.write_text("device,start,end\na,0,51\na,60,100\n")
    with pytest.raises(ScenarioError, match="it is not the same file"):
        fedtiny.run(loaded)


@pytest.mark.parametrize(
    ("availability", "message"),
    [
        ("{kind: trace, path: none.csv}", r"comings.yaml:11: .*there is no file .*none.csv"),
        ("{kind: duty_cycle, on: 10 s}", "off"),
        ("{kind: duty_cycle, on: 10, off: 1 s}", "the unit is missing"),
        ("{kind: sometimes}", "allowed: always, duty_cycle, markov, sessions, trace"),
        ("{kind: always, on_leave: fail}", "on_leave"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path, availability, message):
    with pytest.raises(ScenarioError, match=message):
        load_scenario(written(tmp_path, availability))


def test_a_file_that_is_no_trace_is_told_by_check(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    loaded = load_scenario(written(tmp_path, "{kind: trace, path: evil.pkl, format: fedscale}"))
    with pytest.raises(ScenarioError, match="asks for GLOBAL") as refused:
        check(loaded)
    assert refused.value.path == ("fleet", 1, "availability")


@pytest.mark.parametrize("availability", ["{kind: markov, mean_on: 1 min, mean_off: 30 s}", "{kind: duty_cycle, on: 20 s, off: 10 s}"])
def test_availability_of_a_population_is_that_of_a_group(tmp_path, availability):
    fleet = """{kind: population, count: 40, members: [{share: 1, device: raspberry_pi_4, network: lte_driving}], availability: %s}"""
    population = TEXT[: TEXT.index("fleet:")] + f"fleet: {fleet % availability}\nstop: {{rounds: 3}}\n"
    file = tmp_path / "population.yaml"
    file.write_text(population.replace("classes: 3}", "classes: 3, partition: {kind: with_replacement, examples: 5}}"))
    learned = fedtiny.run(load_scenario(file))
    timed = fedtiny.run(load_scenario(file, {"learning": "none"}))
    assert timed.activities.equals(learned.activities)
    assert "offline" in learned.activities["kind"].to_pylist()
