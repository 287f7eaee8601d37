"""The app in clients/dga-digits on a real SuperLink with two SuperNodes gives the model that virtual time gives."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fedtiny

APP = Path(__file__).resolve().parents[2] / "clients" / "dga-digits"
CLOSE = 1e-6
"""Largest difference of any value: a strategy of Flower's own sums in the order in which replies come."""

pytestmark = pytest.mark.slow

DGA = {"strategy.delay": 10, "strategy.send": "early"}
DGA_WITHOUT_DELAY = {"strategy.delay": 0, "strategy.send": "after_wait"}
DGA_AFTER_THE_WAIT = {"strategy.delay": 13, "strategy.send": "after_wait"}
FEDAVG = {"strategy": {"kind": "fedavg", "min_available_nodes": 2}}


@pytest.mark.parametrize("strategy", [DGA, DGA_WITHOUT_DELAY, DGA_AFTER_THE_WAIT, FEDAVG])
def test_real_nodes_end_with_the_model_of_the_simulation(two_nodes, tmp_path, strategy):
    overrides = {"stop.rounds": 3, **strategy}
    written = tmp_path / "model.safetensors"
    log = two_nodes.run(APP, f"""overrides='{yaml_of(overrides)}' final-model='{written}'""")
    simulated = fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", overrides))
    assert written.exists(), log
    model = load_file(written)
    assert model.keys() == simulated.model.keys()
    distance = max(float(np.abs(model[name] - values).max()) for name, values in simulated.model.items())
    moved = max(float(np.abs(model[name] - values).max()) for name, values in initial_model().items())
    assert distance < CLOSE, f"{distance} apart, {moved} from the initial model"
    assert moved > 1000 * CLOSE
    for row in simulated.rounds.to_pylist():
        assert f"round {row['round']}: accuracy {row['accuracy']:.4f}" in log


def yaml_of(overrides):
    """One line of YAML without quotes, for the command line."""
    return "{" + ", ".join(f"{key}: {yaml_of(value) if isinstance(value, dict) else value}" for key, value in overrides.items()) + "}"


def initial_model():
    return fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", {"stop.rounds": 0})).model
