"""The app in clients/tinytl on a real SuperLink with two SuperNodes gives the model that virtual time gives."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fedtiny

APP = Path(__file__).resolve().parents[2] / "clients" / "tinytl"
CLOSE = 1e-6
STRATEGIES = {
    "fedavg": {"kind": "fedavg", "min_available_nodes": 2},
    "dga": {"kind": "dga", "delay": 10, "send": "early", "min_available_nodes": 2},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Taught for ten steps instead of three hundred."""
    file = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    save_file(fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", {"model.pretrained.steps": 10, "stop.rounds": 0})).model, file)
    return file


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_real_nodes_end_with_the_model_of_the_simulation(two_nodes, tmp_path, backbone, strategy):
    written = tmp_path / "model.safetensors"
    config = f"strategy='{strategy}' delay=10 overrides='{{stop.rounds: 3}}' backbone='{backbone}' final-model='{written}'"
    log = two_nodes.run(APP, config)
    said = {"stop.rounds": 3, "model.pretrained": str(backbone), "strategy": STRATEGIES[strategy]}
    simulated = fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", said)).model
    assert written.exists(), log
    model, before = load_file(written), load_file(backbone)
    assert model.keys() == simulated.keys()
    distance = max(float(np.abs(model[name] - values).max()) for name, values in simulated.items())
    moved = max(float(np.abs(model[name] - values).max()) for name, values in before.items())
    assert distance < CLOSE, f"{distance} apart, {moved} from the backbone"
    assert moved > 1000 * CLOSE
