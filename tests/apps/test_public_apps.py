"""Apps written after Flower's quickstarts, without a word of FedTiny in them, run unmodified on the virtual grid and on Flower's own."""

import ast
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from fedtiny.apps.app_folder import loaded_app, read_app_folder, run_config_of

FOLDER = Path(__file__).parent
APPS = sorted(path.parent.name for path in FOLDER.glob("*/pyproject.toml"))


@pytest.fixture(autouse=True)
def quiet():
    logger = logging.getLogger("flwr")
    before, threads = logger.level, torch.get_num_threads()
    logger.setLevel(logging.ERROR)
    torch.set_num_threads(1)
    yield
    logger.setLevel(before)
    torch.set_num_threads(threads)


def weights(path):
    if path.suffix == ".pt":
        return {name: value.numpy() for name, value in torch.load(path).items()}
    with np.load(path) as file:
        return dict(file)


def test_there_are_at_least_six():
    assert len(APPS) >= 6


@pytest.mark.parametrize("name", APPS)
def test_an_app_knows_nothing_of_fedtiny(name):
    imports = {
        target.split(".")[0]
        for path in (FOLDER / name).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert "fedtiny" not in imports
    assert "flwr" in imports


@pytest.mark.parametrize("name", APPS)
def test_an_app_ends_with_the_same_weights_in_virtual_time_and_on_flower(name, fleet, apps, tmp_path):
    folder, found = read_app_folder(FOLDER / name), {}
    for grid in ("virtual", "flower"):
        file = tmp_path / f"{grid}{Path(folder.config['final-model']).suffix}"
        config = run_config_of(folder, [f"final-model='{file}'"])
        with loaded_app(folder) as (server, client):
            if grid == "virtual":
                apps.run_app(server, client, fleet(4), run_config=config)
            else:
                apps.on_flower(server, client, nodes=4, run_config=config)
        found[grid] = weights(file)
    assert found["virtual"].keys() == found["flower"].keys()
    for key, value in found["virtual"].items():
        np.testing.assert_array_equal(value, found["flower"][key], err_msg=key)
        assert np.any(value), "an app that learns nothing shows nothing"


def test_the_secure_sum_is_the_sum_of_those_who_stayed(fleet, apps, tmp_path):
    folder, file = read_app_folder(FOLDER / "secure_sum"), tmp_path / "sum.npz"
    with loaded_app(folder) as (server, client):
        apps.run_app(server, client, fleet(4), run_config=run_config_of(folder, [f"final-model='{file}'"]))
    total, there = weights(file).values()
    assert there.tolist() == [0, 2, 3]
    assert total.tolist() == [place * (1 + 3 + 4) for place in range(6)]
