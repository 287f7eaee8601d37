"""The first complete Flower app gives what the simulation gives, and passes Flower's own checks."""

import importlib
import subprocess
import sys
import tomllib
import zipfile
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict
from safetensors.numpy import load_file

import fedtiny
from fedtiny.federation.flower_internals import server_identity
from fedtiny.training.cohort_rules import Cohort

APP = Path(__file__).resolve().parents[2] / "clients" / "dga-digits"
PACKAGE = "dga_digits"

SENT_EARLY = "{stop.rounds: 4}"
SENT_AFTER_THE_WAIT = "{stop.rounds: 4, strategy.send: after_wait, strategy.delay: 13}"
FEDAVG = "{stop.rounds: 4, strategy: {kind: fedavg, min_available_nodes: 2}}"
STRATEGIES = pytest.mark.parametrize("overrides", [SENT_EARLY, SENT_AFTER_THE_WAIT, FEDAVG])


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the app as a new process would: nothing of an earlier import is left."""

    def fresh(name):
        for module in [module for module in sys.modules if module.split(".")[0] == PACKAGE]:
            monkeypatch.delitem(sys.modules, module)
        return importlib.import_module(f"{PACKAGE}.{name}")

    monkeypatch.syspath_prepend(APP)
    yield fresh
    for module in [module for module in sys.modules if module.split(".")[0] == PACKAGE]:
        del sys.modules[module]


@pytest.fixture
def run_config(overrides, tmp_path):
    """The app's own configuration, as `flwr run -c` would change it."""
    config = tomllib.loads((APP / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]
    return {**config, "overrides": overrides, "final-model": str(tmp_path / "model.safetensors")}


def run_in_virtual_time(load, run_config, answer, plain_grid):
    """Runs the app's server on virtual nodes that answer with `answer`; the model it wrote, and the virtual time (s)."""
    world = fedtiny.prepare(load("settings").scenario_of(run_config))
    grid = plain_grid(world, answer, run_config)
    server = load("server_app").app
    with server_identity():
        server(grid, Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config=run_config))
    return load_file(run_config["final-model"]), grid.now


def assert_is_the_simulations(load, run_config, model, virtual_time):
    scenario = load("settings").scenario_of(run_config)
    # a SuperNode trains its one client: the simulation is told to train one after the other, too
    one_by_one = scenario.training.model_copy(update={"cohort": Cohort(execution="loop", clients=1)})
    simulated = fedtiny.run(scenario.model_copy(update={"training": one_by_one}))
    assert model.keys() == simulated.model.keys()
    for name, values in simulated.model.items():
        np.testing.assert_array_equal(model[name], values)
    assert virtual_time == simulated.summary["virtual_time"]


@STRATEGIES
def test_the_app_computes_every_bit_that_the_simulation_computes(load, run_config, plain_grid):
    app = load("client_app").app
    assert_is_the_simulations(load, run_config, *run_in_virtual_time(load, run_config, app, plain_grid))


@STRATEGIES
def test_a_client_remembers_in_its_context_and_nowhere_else(load, run_config, plain_grid):
    """As on a SuperNode: every message meets a newly loaded app, and a context that went through a store."""

    def answer(message, context):
        stored = deepcopy(context)
        reply = load("client_app").app(deepcopy(message), stored)
        context.state = deepcopy(stored.state)
        return reply

    assert_is_the_simulations(load, run_config, *run_in_virtual_time(load, run_config, answer, plain_grid))


@pytest.mark.parametrize("overrides", [SENT_EARLY])
def test_the_model_depends_on_what_the_run_configuration_overrides(load, run_config, plain_grid):
    app = load("client_app").app
    model, _ = run_in_virtual_time(load, run_config, app, plain_grid)
    other, _ = run_in_virtual_time(load, {**run_config, "overrides": "{stop.rounds: 4, seed: 8}"}, app, plain_grid)
    assert any((model[name] != other[name]).any() for name in model)


@pytest.mark.parametrize("overrides", [SENT_EARLY])
def test_the_server_logs_the_quality_of_every_version(load, run_config, caplog, plain_grid):
    with caplog.at_level("INFO", logger="flwr"):
        run_in_virtual_time(load, run_config, load("client_app").app, plain_grid)
    rounds = [record.getMessage().split(":")[0] for record in caplog.records if record.getMessage().startswith("round ")]
    assert rounds == [f"round {number}" for number in range(5)]


def test_flower_builds_a_bundle_of_the_whole_app(tmp_path):
    """`flwr build` refuses folders and projects with wrong names, missing licences and wrong version ranges."""
    flwr = Path(sys.executable).with_name("flwr")
    environment = {"FLWR_HOME": str(tmp_path / "home"), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    built = subprocess.run([flwr, "build", "--app", APP], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "missing" not in built.stdout, built.stdout
    [bundle] = tmp_path.glob("fedtiny.dga-digits.*.fab")
    with zipfile.ZipFile(bundle) as files:
        names = set(files.namelist())
    assert names == {
        ".info/CONTENT",
        "LICENSE",
        "README.md",
        f"{PACKAGE}/__init__.py",
        f"{PACKAGE}/client_app.py",
        f"{PACKAGE}/server_app.py",
        f"{PACKAGE}/settings.py",
        "pyproject.toml",
        "scenario.yaml",
    }
