"""The TinyTL app on virtual nodes gives what its scenario gives; what is frozen does not travel."""

import logging
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fedtiny
from fedtiny.apps.app_folder import loaded_app, read_app_folder, run_config_of

APP = Path(__file__).resolve().parents[2] / "clients" / "tinytl"
STRATEGIES = {
    "fedavg": {"kind": "fedavg", "min_available_nodes": 2},
    "dga": {"kind": "dga", "delay": 10, "send": "early", "min_available_nodes": 2},
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """Taught for three steps instead of three hundred."""
    file = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    save_file(fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", {"model.pretrained.steps": 3, "stop.rounds": 0})).model, file)
    return file


def app_on_its_fleet(tmp_path, *given):
    app = read_app_folder(APP)
    config = run_config_of(app, [*given, f"final-model='{tmp_path / 'model.safetensors'}'"])
    with loaded_app(app) as (server, client):
        result = fedtiny.run_app(server, client, fedtiny.load_scenario(APP / "fleet.yaml"), run_config=config)
    return load_file(tmp_path / "model.safetensors"), result


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_app_ends_with_the_model_of_its_scenario_and_only_what_trains_travels(tmp_path, backbone, strategy, caplog):
    overrides = "overrides='{stop.rounds: 3, training.local_steps: 2, training.optimizer.learning_rate: 0.02}' delay=2"
    with caplog.at_level(logging.INFO, "flwr"):
        model, result = app_on_its_fleet(tmp_path, f"backbone='{backbone}' strategy='{strategy}' {overrides}")
    said = {
        "model.pretrained": str(backbone),
        "strategy": STRATEGIES[strategy],
        "stop.rounds": 3,
        "training.local_steps": 2,
        "training.optimizer.learning_rate": 0.02,
    }
    said |= {"strategy.delay": 2} if strategy == "dga" else {}
    simulated = fedtiny.run(fedtiny.load_scenario(APP / "scenario.yaml", said)).model
    assert model.keys() == simulated.keys()
    for name, values in simulated.items():
        np.testing.assert_array_equal(model[name], values)
    before = load_file(backbone)
    frozen = [name for name, values in model.items() if (values == before[name]).all()]
    assert 0 < len(frozen) < len(model)
    assert "330818 of " in caplog.text
    trained = [row for row in result.activities.to_pylist() if row["kind"] == "upload"]
    assert {row["payload_bytes"] for row in trained} == {4 * 330818}
    assert len(trained) == 2 * 3 == result.summary["work_counted"]


def test_the_fleet_is_that_of_the_scenario():
    app, whole = (fedtiny.load_scenario(APP / name) for name in ("fleet.yaml", "scenario.yaml"))
    assert (app.fleet, app.seed) == (whole.fleet, whole.seed)


def test_another_strategy_is_refused(tmp_path, backbone):
    with pytest.raises(ValueError, match="'dgaa'; it is one of fedavg, dga"):
        app_on_its_fleet(tmp_path, f"backbone='{backbone}' strategy='dgaa'")


@pytest.mark.parametrize(("given", "found"), [("backbone=''", "no file of this node"), ("backbone='/nowhere'", "fedtiny pretrain")])
def test_without_a_backbone_it_says_how_to_make_one(tmp_path, given, found):
    with pytest.raises(FileNotFoundError, match=found):
        app_on_its_fleet(tmp_path, given)
