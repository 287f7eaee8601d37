"""The command that takes a scenario to real nodes."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Final

import typer

from fedtiny.command_options import ScenarioFile, Seed, Sets, overrides

DEPLOY_EXAMPLE: Final = "Example: fedtiny deploy scenario.yaml --superlink server.example.org:8000 --out deploy/mine"
_FOLDER: Final = Path("deploy")


def deploy(
    scenario: ScenarioFile,
    superlink: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where nodes will find the SuperLink.")] = "127.0.0.1:8000",
    run_ahead: Annotated[
        int | None,
        typer.Option(min=0, metavar="ROUNDS", help="Of dga: trainers beside the nodes, ahead of messages by so much.", show_default=False),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="No TLS and no keys: for a network of your own.")] = False,
    home: Annotated[str, typer.Option(metavar="DIR", help="Where the files will lie on all machines.")] = "/opt/fedtiny",
    user: Annotated[str, typer.Option(help="Who the programs run as.")] = "fedtiny",
    out: Annotated[Path | None, typer.Option(help="The folder to write; deploy/<name> if left out.", show_default=False)] = None,
    sets: Sets = None,
    seed: Seed = None,
) -> None:
    """Write what real nodes need to run a scenario: a Flower app, units for systemd by device class, keys, commands.

    Nothing is started or sent. README.md of the folder says what to do with it; try_here.sh runs it once on this machine.
    """
    from fedtiny.deployment.deploy import deployment_of, write_deployment
    from fedtiny.scenario.files import explained, load_with_source

    loaded, sources = load_with_source(scenario, overrides(sets, seed))
    folder = out or _FOLDER / loaded.name
    with explained(sources):
        made = deployment_of(loaded, superlink, secure=not insecure, home=PurePosixPath(home), user=user, run_ahead=run_ahead)
    files = write_deployment(made, folder)
    typer.echo(f"{folder}: {len(files)} files for {len(made.numbers)} of {made.devices} devices; begin with {folder / 'README.md'}")
