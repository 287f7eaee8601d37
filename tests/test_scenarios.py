"""Every scenario of the repository runs, shortened: it is the documentation of a use."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import fedtiny
from fedtiny.errors import DataError

FOLDER = Path(__file__).parents[1] / "scenarios"
SHORT = {
    "quickstart": {"model.pretrained.steps": 2},
    "tinytl_memory": {"model.pretrained.steps": 2},
    "latency_memory": {"model.pretrained.steps": 2},
    "design_for_f746": {"model.pretrained.steps": 2, "data.test_examples": 500},
    "qas": {"model.pretrained.steps": 2, "data.test_examples": 500},
    "sparse_update": {"model.pretrained.steps": 2, "data.test_examples": 500},
    "tinytl": {"training.local_steps": 1, "training.frozen_weights": "float", "data.test_examples": 100},
    "mixed_fleet": {"model.pretrained": {"steps": 2}},
}


def shortened(path, monkeypatch, tmp_path):
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path))
    scenario = fedtiny.load_scenario(path, {"stop": {"rounds": 1}, **SHORT.get(path.stem, {})})
    return scenario.model_copy(update={"sweep": None})


@pytest.mark.parametrize("path", sorted(FOLDER.glob("**/*.yaml")), ids=lambda path: path.stem)
def test_a_scenario_of_the_repository_runs(path, monkeypatch, tmp_path):
    scenario = shortened(path, monkeypatch, tmp_path)
    if scenario.data.kind == "fashion_mnist" and not Path("/usr/share/datasets/fashion-mnist").exists():
        pytest.skip("the files of Fashion-MNIST are not on this machine (Debian: dataset-fashion-mnist)")
    try:
        result = fedtiny.run(scenario)
    except DataError as error:
        pytest.fail(str(error))
    assert result.summary["rounds"] == 1
    assert result.summary["bytes_up"] > 0


def test_the_scenarios_the_readme_names_are_there():
    assert {"quickstart", "dga_latency", "tinytl_memory", "latency_memory"} <= {path.stem for path in FOLDER.glob("*.yaml")}


def test_the_keywords_are_what_their_script_makes():
    made = runpy.run_path(str(FOLDER / "data" / "make_keywords.py"))["make"]()
    with np.load(FOLDER / "data" / "keywords.npz") as kept:
        assert set(kept) == set(made)
        # another machine's exponential function may round one energy in a million to the other quarter
        assert all(np.mean(kept[name] != array) < 1e-3 for name, array in made.items())


@pytest.mark.parametrize(("name", "rounds", "accuracy"), [("text", 10, 0.22), ("keywords", 10, 0.4)])
def test_devices_with_a_voice_of_their_own_learn(name, rounds, accuracy):
    """Of text, always to say "space" would be right 16 times in 100; of keywords, a guess is right once in 8 times."""
    scenario = fedtiny.load_scenario(FOLDER / f"{name}.yaml", {"stop": {"rounds": rounds}, "evaluation.every": rounds})
    assert fedtiny.run(scenario).summary["accuracy"] > accuracy
