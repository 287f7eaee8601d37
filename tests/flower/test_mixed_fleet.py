"""A mixed fleet on a real SuperLink: a node that trains everything and one that trains the head end with the model of virtual time."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import fedtiny
from fedtiny.preparation import prepare

APP = Path(__file__).resolve().parents[2] / "clients" / "dga-digits"

pytestmark = pytest.mark.slow

FEDAVG = ({"strategy": {"kind": "fedavg", "min_available_nodes": 2}}, "17 kB")
DGA = ({"strategy.delay": 13, "strategy.send": "after_wait"}, "25 kB")


def group(memory):
    return {"count": 1, "device": {"kind": "custom", "memory": memory, "step_time": "100 ms"}, "network": "lte_driving"}


@pytest.mark.parametrize(("strategy", "smallest"), [FEDAVG, DGA])
def test_real_nodes_of_a_mixed_fleet_end_with_the_model_of_the_simulation(two_nodes, tmp_path, strategy, smallest):
    update = {"kind": "automatic", "candidates": ["full", "last"]}
    overrides = {"stop.rounds": 3, "update": update, "fleet": [group("1 MB"), group(smallest)], **strategy}
    scenario = fedtiny.load_scenario(APP / "scenario.yaml", overrides)
    assert [participant.plan.scheme for participant in prepare(scenario).participants] == ["full", "last"]
    written = tmp_path / "model.safetensors"
    log = two_nodes.run(APP, f"""overrides='{yaml_of(overrides)}' final-model='{written}'""")
    simulated = fedtiny.run(scenario).model
    assert written.exists(), log
    model = load_file(written)
    assert model.keys() == simulated.keys()
    for name, values in simulated.items():
        np.testing.assert_allclose(model[name], values, rtol=0, atol=1e-5)


def yaml_of(value):
    """One line of YAML without quotes, for the command line."""
    if isinstance(value, list):
        return "[" + ", ".join(yaml_of(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_of(item)}" for key, item in value.items()) + "}"
    return str(value)
