"""A folder with a scenario as a Flower app for real nodes: what the files of a deployed app call.

`flwr run -c` may change what the run's configuration names: `scenario` (a file of the folder), `overrides` (YAML, as of `fedtiny run
--set`), and `final-model`, the file that the server writes; a relative one counts from where the SuperLink was started.
"""

import logging
from pathlib import Path
from typing import Any

import yaml
from flwr.app import Context, Message, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from safetensors.numpy import save_file

from fedtiny.errors import ScenarioError
from fedtiny.flower_app import ModelVersion, client_app_of, model_of, serve
from fedtiny.preparation import World, prepare
from fedtiny.scenario.any_scenario import load_scenario
from fedtiny.scenario.schema import Scenario

log = logging.getLogger("flwr")  # what `flwr log` and `flwr run --stream` show


def scenario_in(folder: Path, run_config: UserConfig) -> Scenario:
    """The scenario that an app carries, with what `flwr run -c` says otherwise. Raises ScenarioError where it trains nothing."""
    return training_scenario(folder / str(run_config["scenario"]), yaml.safe_load(str(run_config["overrides"])))


def training_scenario(file: Path, overrides: dict[str, Any]) -> Scenario:
    """A scenario's file with other values of its keys. Raises ScenarioError where it is for somebody else's app."""
    scenario = load_scenario(file, overrides)
    if not isinstance(scenario, Scenario):
        raise ScenarioError(f"{file} names a fleet and nothing that trains on it: it is for `fedtiny app`")
    return scenario


def server_app(folder: Path) -> ServerApp:
    """The scenario's strategy on whatever Grid Flower hands over; it logs rounds and writes the final model."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        world = prepare(scenario_in(folder, context.run_config))
        last = serve(world, grid, log_version)
        write_final_model(world, last, context.run_config)

    return app


def client_app(folder: Path) -> ClientApp:
    """One piece of local training a message, on the data of the device that the node's `partition-id` names.

    A SuperNode runs every message in a process of its own, so everything is made anew from the scenario, and all that the client
    remembers lies in `context.state`.
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        return client_app_of(prepare(scenario_in(folder, context.run_config)))(message, context)

    return app


def log_version(version: ModelVersion) -> None:
    """Says how good a version of the global model is."""
    if version.quality is not None and version.quality.accuracy is not None:
        log.info("round %d: accuracy %.4f, loss %.4f", version.round, version.quality.accuracy, version.quality.loss)


def write_final_model(world: World, last: ModelVersion, run_config: UserConfig) -> None:
    """Writes all tensors of a model to the file that the run's configuration names."""
    path = Path(str(run_config["final-model"])).absolute()
    save_file(model_of(world, last.trainable), path)
    log.info("the final model is in %s", path)
