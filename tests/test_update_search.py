"""From a scenario to the best sparse update within a budget."""

import json
import re

import pytest

from fedtiny.cli import main
from fedtiny.costs.extra_memory import extra_memory
from fedtiny.design.contribution import Analysis
from fedtiny.errors import InfeasibleError, ScenarioError
from fedtiny.preparation import blueprint
from fedtiny.scenario.files import load_scenario
from fedtiny.update_search import search_update

TEXT = """
name: searched
model: {kind: small_cnn}
data: {kind: digits, train_examples: 200, partition: {kind: iid}}
training: {batch_size: 20, optimizer: {kind: sgd, learning_rate: 0.2}}
strategy: fedavg
fleet: [{count: 2, device: raspberry_pi_4, network: lte_static}]
stop: {rounds: 1}
"""
ANALYSIS = Analysis(steps=12, shares=(0.5, 1.0))


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path / "cache"))
    file = tmp_path / "scenario.yaml"
    file.write_text(TEXT)
    return file


def test_the_update_that_is_found_fits_the_budget_and_can_be_run(path):
    found = search_update(load_scenario(path), 600, ANALYSIS)
    scenario = load_scenario(path, {"update": found.update})
    plans = blueprint(scenario)
    assert extra_memory(plans.summary, plans.plan).total_bytes == found.best.memory <= 600
    assert found.exact is not None
    assert found.evolved.gain <= found.exact.gain


def test_a_larger_budget_never_promises_less(path):
    gains = [search_update(load_scenario(path), budget, ANALYSIS).best.gain for budget in (260, 400, 700, 5000)]
    assert gains == sorted(gains)


def test_contributions_are_measured_once_per_scenario_and_again_for_another_seed(path):
    told = []
    for overrides in ({}, {}, {"seed": 1}, {"strategy": {"kind": "dga", "delay": 1}}):
        before = len(told)
        search_update(load_scenario(path, overrides), 600, ANALYSIS, progress=lambda *state: told.append(state))
        told.append(("measured", len(told) > before))
    assert [state for state in told if state[0] == "measured"] == [
        ("measured", True),
        ("measured", False),
        ("measured", True),
        ("measured", False),
    ], "the strategy has no part in it"


def test_a_network_without_convolutions_is_refused(path):
    with pytest.raises(ScenarioError, match="linear on digits has 0 convolutions") as caught:
        search_update(load_scenario(path, {"model": {"kind": "linear"}}), 600, ANALYSIS)
    assert caught.value.path == ("model",)


def test_a_budget_below_the_head_is_refused(path):
    with pytest.raises(InfeasibleError, match="the budget is"):
        search_update(load_scenario(path), 1, ANALYSIS)


def test_the_command_writes_what_it_prints(path, tmp_path, capsys):
    arguments = ["contribution", str(path), "--budget", "600 B", "--steps", "3", "--shares", "0.5,1", "--layers", "1", "--depths", "1"]
    assert main([*arguments, "--json", "--out", str(tmp_path / "found")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "found" / "contribution.json").read_text())
    assert printed["update"]["kind"] == "sparse"
    assert (tmp_path / "found" / "contribution.svg").read_bytes().startswith(b"<?xml")
    assert main(arguments) == 0
    assert "kind: sparse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--budget", "100", "--budget: the unit is missing"),
        ("--budget", "0 kB", "--budget: a budget is more than 0"),
        ("--layers", "1;2", "--layers: expected numbers with commas"),
        ("--shares", "2", "--shares: .*less than or equal to 1"),
    ],
)
def test_wrong_options_are_named(path, capsys, option, value, message):
    assert main(["contribution", str(path), option, value]) == 2
    assert re.search(message, capsys.readouterr().err)
