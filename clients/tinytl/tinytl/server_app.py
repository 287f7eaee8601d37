"""The server's half: the strategy on whatever Grid Flower hands over; it logs what travels and every round, and writes the final model."""

import logging
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from safetensors.numpy import save_file

import fedtiny
from tinytl.settings import scenario_of

app = ServerApp()
log = logging.getLogger("flwr")  # what `flwr log` and `flwr run --stream` show


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs the scenario's rounds and writes the final model to `final-model`."""
    world = fedtiny.prepare(scenario_of(context.run_config))
    last = fedtiny.serve(world, grid, log_version)
    model = fedtiny.model_of(world, last.trainable)
    log.info("%d of the network's %d values were trained, and travelled", last.trainable.size, sum(value.size for value in model.values()))
    path = Path(str(context.run_config["final-model"])).absolute()
    save_file(model, path)
    log.info("the final model is in %s", path)


def log_version(version: fedtiny.ModelVersion) -> None:
    """Says how good a version of the global model is."""
    if version.quality is not None and version.quality.accuracy is not None:
        log.info("round %d: accuracy %.4f, loss %.4f", version.round, version.quality.accuracy, version.quality.loss)
