"""The server's half: the scenario's DGA with fewer rounds in flight than its delay allows, since trainers run ahead by the rest."""

import json
import logging
import time
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from safetensors.numpy import save_file

import fedtiny
from dga_overlap.retrying_grid import RetryingGrid
from dga_overlap.settings import scenario_of, with_messages_for

app = ServerApp()
log = logging.getLogger("flwr")  # what `flwr log` and `flwr run --stream` show


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Runs the scenario's rounds and writes the final model to `final-model`."""
    config, times = context.run_config, list[float]()

    def note(version: fedtiny.ModelVersion) -> None:
        times.append(time.monotonic())
        if version.quality is not None and version.quality.accuracy is not None:
            log.info("round %d: accuracy %.4f, loss %.4f", version.round, version.quality.accuracy, version.quality.loss)

    world = fedtiny.prepare(with_messages_for(scenario_of(config), int(config["run-ahead"])))
    last = fedtiny.serve(world, RetryingGrid(grid, float(config["node-patience"]), float(config["node-silence"])), note)
    path = Path(str(config["final-model"])).absolute()
    save_file(fedtiny.model_of(world, last.trainable), path)
    if config["round-times"]:
        Path(str(config["round-times"])).write_text(json.dumps([moment - times[0] for moment in times]), encoding="utf-8")
    log.info("the final model is in %s", path)
