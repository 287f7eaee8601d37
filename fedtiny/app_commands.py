"""The command for somebody's own Flower app."""

import logging
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fedtiny.command_options import Out, Quiet, ScenarioFile, Seed, Sets, overrides
from fedtiny.terminal import print_table

APP_EXAMPLE: Final = "Example: fedtiny app my_flower_app fleet.yaml --run-config 'num-server-rounds=3 lr=0.1' --out runs/my_app"
_RUNS: Final = Path("runs")


def validated_for_an_app(scenario: Path, given: list[Any]) -> bool:
    """Whether a scenario is for a Flower app, which is then said to be valid. Raises ScenarioError where it is wrong."""
    from fedtiny.fleet.enrolled import devices_of
    from fedtiny.randomness import Streams
    from fedtiny.scenario.app_files import is_for_an_app, to_app_scenario
    from fedtiny.scenario.files import explained, override, read_tree
    from fedtiny.simulation.roll_call import RollCall

    tree = override(read_tree(scenario), given)
    if not is_for_an_app(tree.plain):
        return False
    with explained(tree.sources):
        loaded = to_app_scenario(tree, scenario.parent)
        streams = Streams(loaded.seed)
        RollCall(loaded.fleet, streams, ())
        devices = len(devices_of(loaded.fleet, loaded.device, loaded.network, streams))
    typer.echo(f"{scenario}: valid for `fedtiny app`, {devices} devices; `fedtiny run` also needs model, data, strategy and stop")
    return True


def flower_app(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The app's folder, with [tool.flwr.app] in its pyproject.toml.")],
    scenario: ScenarioFile,
    run_config: Annotated[
        list[str] | None,
        typer.Option(
            "--run-config", "-c", metavar="'KEY=VALUE ...'", help="Other values of the app's own configuration.", show_default=False
        ),
    ] = None,
    sets: Sets = None,
    out: Out = None,
    seed: Seed = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run of another scenario in the folder.")] = False,
    quiet: Quiet = False,
) -> None:
    """Run a Flower app, unmodified, on a scenario's fleet in virtual time. This executes the app's code.

    The scenario names a fleet and nothing that trains on it: name and fleet, and if wanted seed, device, network, server, stop
    (virtual_time) and app, which declares what the app's work costs.
    """
    from fedtiny.apps.app_folder import read_app_folder
    from fedtiny.apps.run_folder import run_app_into
    from fedtiny.scenario.app_files import load_app_with_source
    from fedtiny.scenario.files import explained

    loaded, sources = load_app_with_source(scenario, overrides(sets, seed))
    app = read_app_folder(path)
    folder = out or _RUNS / loaded.name
    typer.echo(f"fedtiny app executes the code in {app.path}: {app.serverapp} and {app.clientapp}", err=True)
    if quiet:
        logging.getLogger("flwr").setLevel(logging.ERROR)
    with explained(sources):
        result = run_app_into(folder, app, loaded, run_config=run_config or (), overwrite=overwrite)
    from fedtiny.reports.page import write_report
    from fedtiny.sweeps.rows import summary_row

    report = write_report([folder], folder)
    if not quiet:
        print_table(result.name, [summary_row(result.summary)])
        for note in result.notes:
            typer.echo(note)
        typer.echo(f"report: {report}")
