"""The ordinary Flower app runs on its fleet as it is."""

import logging
from pathlib import Path

import pytest
import torch

import fedtiny
from fedtiny.apps.app_folder import loaded_app, read_app_folder, run_config_of

APP = Path(__file__).resolve().parents[2] / "clients" / "opaque"


@pytest.fixture(autouse=True)
def quiet(monkeypatch):
    monkeypatch.setattr(logging.getLogger("flwr"), "level", logging.ERROR)


def run(tmp_path, changes=None, *given):
    app, file = read_app_folder(APP), tmp_path / "model.pt"
    config = run_config_of(app, ["num-server-rounds=2", f"final-model='{file}'", *given])
    with loaded_app(app) as (server, client):
        result = fedtiny.run_app(server, client, fedtiny.load_scenario(APP / "fleet.yaml", changes), run_config=config)
    return result, torch.load(file)


def test_nothing_in_it_knows_fedtiny():
    files = [*APP.rglob("*.py")]
    assert len(files) == 4
    assert not [file for file in files if "fedtiny" in file.read_text(encoding="utf-8")]


def test_it_learns_and_all_of_its_work_is_counted(tmp_path):
    result, model = run(tmp_path, None, "num-server-rounds=4")
    accuracies = result.rounds["accuracy"].to_pylist()
    assert accuracies[-1] > 0.5 > accuracies[1]
    assert result.summary["work_counted"] == 4 * (6 + 6)
    assert result.model.keys() == model.keys()
    assert all(torch.equal(model[name], torch.tensor(value)) for name, value in result.model.items())


def test_latency_changes_its_times_and_not_its_model(tmp_path):
    (near, model), (far, same) = run(tmp_path, {"network.latency": "10 ms"}), run(tmp_path, {"network.latency": "2 s"})
    assert all(torch.equal(model[name], same[name]) for name in model)
    # two rounds of training and evaluation, a way there and a way back each
    assert far.summary["virtual_time"] - near.summary["virtual_time"] == pytest.approx(2 * 2 * 2 * 1.99, rel=0.05)
