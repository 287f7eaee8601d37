"""Every scenario of the repository runs, shortened: it is the documentation of a use."""

from pathlib import Path

import pytest

import fedtiny
from fedtiny.errors import DataError

FOLDER = Path(__file__).parents[1] / "scenarios"
SHORT = {
    "quickstart": {"model.pretrained.steps": 2},
    "tinytl_memory": {"model.pretrained.steps": 2},
    "latency_memory": {"model.pretrained.steps": 2},
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
