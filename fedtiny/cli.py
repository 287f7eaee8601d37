"""The command line: words become calls, values become tables, errors become exit codes.

Exit codes: 0 done; 1 the experiment failed; 2 the input is wrong; 130 interrupted. Whatever takes long to import is
imported by the command that needs it, so that `fedtiny --help` answers at once.
"""

import os
import signal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import click
import typer

from fedtiny.app_commands import APP_EXAMPLE, flower_app, validated_for_an_app
from fedtiny.calibration_commands import CALIBRATE_EXAMPLE, calibrate
from fedtiny.catalog_commands import CATALOG_EXAMPLE, INIT_EXAMPLE, SCHEMA_EXAMPLE, catalog, init, schema
from fedtiny.command_options import (
    AllowCode,
    Axes,
    Batch,
    JournalSize,
    Log,
    Optimize,
    Out,
    Quiet,
    RayAddress,
    Resume,
    ResumeSweep,
    ScenarioFile,
    Seed,
    Sets,
    SweepWorkers,
    Trials,
    overrides,
)
from fedtiny.deployment_commands import DEPLOY_EXAMPLE, deploy
from fedtiny.design_commands import DESIGN_EXAMPLE, design
from fedtiny.errors import ExperimentError, InputError
from fedtiny.planning_commands import CONTRIBUTION_EXAMPLE, MEMORY_EXAMPLE, PLAN_EXAMPLE, contribution, memory, plan
from fedtiny.terminal import print_table
from fedtiny.watching.watch import run_progress, sweep_progress

if TYPE_CHECKING:
    from fedtiny.results.record import RunResult
    from fedtiny.results.sweep import SweepResult
    from fedtiny.scenario.tree import Tree
    from fedtiny.sweeps.axes import Axis

_RUNS: Final = Path("runs")
_INTERRUPTED: Final = 130
_HELP: Final = {"help_option_names": ["-h", "--help"]}


# NO_COLOR (no-color.org): rich would leave out colours, but not what makes letters bold
_STYLE: Final = None if os.environ.get("NO_COLOR") else "rich"
app = typer.Typer(no_args_is_help=True, add_completion=False, context_settings=_HELP, rich_markup_mode=_STYLE)


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line and gives its exit code; errors that somebody can act on are one message on standard error."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = typer.main.get_command(app).main(args=arguments, prog_name="fedtiny", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except InputError as error:
        return _fail(str(error), 2)
    except (ExperimentError, OSError) as error:
        return _fail(str(error), 1)
    if code == _INTERRUPTED:
        return _fail("interrupted", code)
    return code or 0


@app.callback(invoke_without_command=True)
def fedtiny(show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Simulate federated on-device learning: learning is real, time is virtual."""
    if show_version:
        typer.echo(f"fedtiny {version('fedtiny')}")
        raise typer.Exit


@app.command(epilog="Example: fedtiny run scenario.yaml --set strategy=fedavg --set network.latency='300 ms' --out runs/slow")
def run(
    scenario: ScenarioFile,
    sets: Sets = None,
    out: Out = None,
    seed: Seed = None,
    resume: Resume = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the run of another scenario in the folder.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train clients; no byte depends on it.")] = 1,
    ray: RayAddress = None,
    journal: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep finished work there (up to 4 GB) and find it again.", show_default=False)
    ] = None,
    log: Log = None,
    allow_code: AllowCode = False,
    quiet: Quiet = False,
) -> None:
    """Run one scenario: a folder with tables, the model and a report."""
    from fedtiny.scenario.files import explained, load_with_source
    from fedtiny.sweeps.run_folder import run_into
    from fedtiny.sweeps.ways import way_of_training
    from fedtiny.trackers.destination import Logged, destinations

    loaded, sources = load_with_source(scenario, overrides(sets, seed))
    folder = out or _RUNS / loaded.name
    logged = Logged(destinations(log or (), folder.parent), loaded.name, folder.absolute().name)
    with explained(sources), run_progress(quiet) as progress:
        training = way_of_training(workers, ray, journal, allow_code=allow_code)
        result = run_into(folder, loaded, overwrite=overwrite, progress=progress, allow_code=allow_code, training=training, logged=logged)
    # matplotlib is imported behind the run: a newcomer sees the first round half a second earlier
    from fedtiny.reports.page import write_report

    report = write_report([folder], folder)
    if not quiet:
        _tell(result)
        typer.echo(f"report: {report}")


def _tell(result: "RunResult") -> None:
    """What came of a run, on the screen."""
    from fedtiny.reports.batteries import battery_rows
    from fedtiny.reports.energy import energy_rows, flash_rows
    from fedtiny.sweeps.rows import summary_row

    print_table(result.name, [summary_row(result.summary)])
    for title, rows in (("energy", energy_rows), ("flash", flash_rows), ("batteries", battery_rows)):
        if found := rows(result):
            print_table(f"the {title}", found)
    excluded = result.devices["status"].to_pylist().count("excluded")
    if excluded:
        typer.echo(f"left out, because training does not fit them: {excluded} of {result.devices.num_rows} devices (the report says why)")


@app.command(epilog="Example: fedtiny sweep scenario.yaml --axis network.latency='0 ms,100 ms,1 s' --axis update=full,tinytl --seeds 3")
def sweep(
    scenario: ScenarioFile,
    axis: Axes = None,
    optimize: Optimize = None,
    trials: Trials = None,
    batch: Batch = None,
    seeds: Annotated[int, typer.Option(min=1, help="Run seed ... seed + N - 1.")] = 1,
    workers: SweepWorkers = None,
    ray: RayAddress = None,
    log: Log = None,
    journal_size: JournalSize = None,
    keep_journal: Annotated[bool, typer.Option("--keep-journal", help="Keep it when the sweep is done.")] = False,
    sets: Sets = None,
    out: Out = None,
    resume: ResumeSweep = False,
    allow_code: AllowCode = False,
    quiet: Quiet = False,
) -> None:
    """Run every combination of some values, with paired seeds, or search for the best; finished cells are not run again."""
    from fedtiny.sweeps.executors import executors

    with executors(workers, ray) as executor_for:
        # processes start first: one of them imports what it needs while this one does
        from fedtiny.reports.page import write_sweep_report
        from fedtiny.sweeps.forecast import Forecast
        from fedtiny.sweeps.task import sweep_log, sweep_task
        from fedtiny.sweeps.ways import journal_options

        task = sweep_task(*_axes(scenario, axis, sets), seeds, optimize=optimize, trials=trials, batch=batch)
        folder = out or _RUNS / task.name
        folder = folder if ray is None else folder.absolute()
        options = {"journal": journal_options(journal_size, keep_journal), "resume": resume, **sweep_log(log, folder, ray, optimize)}
        forecast = Forecast()
        with sweep_progress(quiet, task.runs, forecast) as tell, executor_for(folder) as executor:
            result = task.run(folder, executor, allow_code=allow_code, tell=tell, begins=forecast.begin, **options)
    report = write_sweep_report(folder)
    if not quiet:
        _tell_sweep(result)
        typer.echo(f"report: {report}")
    if "failed" in result.cells["status"].to_pylist():
        raise ExperimentError(f"some cells failed; their folders in {folder / 'cells'} say why, and the same command runs them again")


def _tell_sweep(result: "SweepResult") -> None:
    """What came of a sweep, on the screen."""
    from fedtiny.sweeps.rows import cell_rows, search_sentences

    print_table(result.name, cell_rows(result))
    for sentence in search_sentences(result):
        typer.echo(sentence)


def _axes(scenario: Path, axis: list[str] | None, sets: list[str] | None) -> "tuple[Tree, Path, list[Axis]]":
    """The base scenario, the folder of its file, and the axes that file and words name."""
    from fedtiny.scenario.files import override, read_tree
    from fedtiny.sweeps.axes import parse_axis, split_sweep

    base, axes = split_sweep(override(read_tree(scenario), overrides(sets, None)))
    return base, scenario.parent, [*axes, *(parse_axis(text) for text in axis or ())]


@app.command(epilog="Example: fedtiny validate scenario.yaml")
def validate(scenario: ScenarioFile, sets: Sets = None, allow_code: AllowCode = False) -> None:
    """Check a scenario without running it; what is wrong is said with file and line."""
    from fedtiny.preparation import check
    from fedtiny.scenario.files import explained, override, read_tree
    from fedtiny.sweeps.axes import cross, split_sweep

    if validated_for_an_app(scenario, overrides(sets, None)):
        return
    base, axes = split_sweep(override(read_tree(scenario), overrides(sets, None)))
    cells = cross(base, scenario.parent, axes).cells
    if not axes:  # whether the cells of a sweep fit their devices is one of its results, not a mistake
        with explained(cells[0].sources):
            for sentence, is_warning in check(cells[0].scenario, allow_code=allow_code).sentences:
                typer.echo(f"{scenario}: {sentence}", err=is_warning)
    typer.echo(f"{scenario}: valid" + (f", a sweep of {len(cells)} runs" if axes else ""))


@app.command(epilog="Example: fedtiny report runs/fedavg runs/dga --out runs/comparison")
def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of runs, or of one sweep.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write; several: runs/comparison.", show_default=False)] = None,
    style: Annotated[
        Literal["page", "paper"], typer.Option(help="paper: also draw the figures for a printed paper, into figures/paper, as PDF too.")
    ] = "page",
) -> None:
    """Draw the report of a run or a sweep again, or several runs side by side, from their folders alone."""
    from fedtiny.reports.page import write_report

    place = out or (folders[0] if len(folders) == 1 else _RUNS / "comparison")
    typer.echo(f"report: {write_report(folders, place, printed=style == 'paper')}")


app.command(epilog=MEMORY_EXAMPLE)(memory)
app.command("app", epilog=APP_EXAMPLE)(flower_app)
app.command(epilog=PLAN_EXAMPLE)(plan)
app.command(epilog=DEPLOY_EXAMPLE)(deploy)
app.command(epilog=CONTRIBUTION_EXAMPLE)(contribution)
app.command(epilog=CALIBRATE_EXAMPLE)(calibrate)
app.command(epilog=DESIGN_EXAMPLE)(design)


app.command(epilog=CATALOG_EXAMPLE)(catalog)
app.command(epilog=SCHEMA_EXAMPLE)(schema)
app.command(epilog=INIT_EXAMPLE)(init)


@app.command(epilog="Example: fedtiny pretrain scenario.yaml --out backbone.safetensors")
def pretrain(
    scenario: ScenarioFile,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The checkpoint to write, .safetensors.", show_default=False)],
    sets: Sets = None,
    seed: Seed = None,
    allow_code: AllowCode = False,
    quiet: Quiet = False,
) -> None:
    """Pre-train the scenario's network on the server and write it as a checkpoint for `model: {pretrained: FILE}`."""
    from fedtiny import experiment
    from fedtiny.scenario.files import explained, load_with_source

    loaded, sources = load_with_source(scenario, overrides(sets, seed))
    with explained(sources), run_progress(quiet) as progress:
        experiment.pretrain(loaded, out, progress=progress, allow_code=allow_code)
    if not quiet:
        typer.echo(f"wrote {out}")


def _fail(message: str, code: int) -> int:
    typer.echo(f"fedtiny: {message}", err=True)
    return code
