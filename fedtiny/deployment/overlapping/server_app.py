"""The server's half: the scenario's DGA with fewer rounds in flight than its delay allows, since trainers run ahead by the rest."""

import json
import time
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedtiny.deployment.federation import log_version, scenario_in, write_final_model
from fedtiny.deployment.overlapping.retrying_grid import RetryingGrid
from fedtiny.deployment.overlapping.run_ahead import with_messages_for
from fedtiny.flower_app import ModelVersion, serve
from fedtiny.preparation import prepare


def server_app(folder: Path) -> ServerApp:
    """Runs the rounds of a folder's scenario, asks nodes that fail again, and writes the final model.

    The run's configuration names, besides what `deployment.federation` reads: `run-ahead`, `node-patience` and `node-silence` (s; see
    `RetryingGrid`), and `round-times`, a file for the seconds at which each round's average was there, or nothing.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        config, times = context.run_config, list[float]()

        def note(version: ModelVersion) -> None:
            times.append(time.monotonic())
            log_version(version)

        world = prepare(with_messages_for(scenario_in(folder, config), int(config["run-ahead"])))
        last = serve(world, RetryingGrid(grid, float(config["node-patience"]), float(config["node-silence"])), note)
        write_final_model(world, last, config)
        if config["round-times"]:
            Path(str(config["round-times"])).write_text(json.dumps([moment - times[0] for moment in times]), encoding="utf-8")

    return app
