"""The command line: words become calls, values become tables, errors become exit codes.

Exit codes: 0 done; 1 the experiment failed; 2 the input is wrong; 130 interrupted. Whatever takes long to import is
imported by the command that needs it, so that `fedtiny --help` answers at once.
"""

import signal
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import click
import typer

from fedtiny.errors import ExperimentError, InputError, ScenarioError
from fedtiny.terminal import print_json, print_table, run_progress, sweep_progress

_RUNS: Final = Path("runs")
_INTERRUPTED: Final = 130
_HELP: Final = {"help_option_names": ["-h", "--help"]}


def _refuse_resume(resume: bool) -> bool:
    if resume:
        raise ScenarioError("--resume is not built yet: run without it; a run starts from the beginning, a sweep keeps its finished cells")
    return resume


ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="The scenario's YAML file.", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value, any YAML.", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Another seed.", show_default=False)]
Out = Annotated[Path | None, typer.Option(help="The folder to write; runs/<name> if left out.", show_default=False)]
AllowCode = Annotated[bool, typer.Option("--allow-code", help="Let the scenario run Python code of your own (model kind python).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no table.")]
Resume = Annotated[bool, typer.Option("--resume", callback=_refuse_resume, help="Not built yet: refused.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, and nothing else.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, context_settings=_HELP)


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
    allow_code: AllowCode = False,
    quiet: Quiet = False,
) -> None:
    """Run one scenario: a folder with tables, the model and a report."""
    from fedtiny.reports.page import write_report
    from fedtiny.scenario.files import explained, load_with_source
    from fedtiny.sweeps.rows import summary_row
    from fedtiny.sweeps.run_folder import run_into

    loaded, sources = load_with_source(scenario, _overrides(sets, seed))
    folder = out or _RUNS / loaded.name
    with explained(sources), run_progress(quiet) as progress:
        result = run_into(folder, loaded, overwrite=overwrite, progress=progress, allow_code=allow_code)
    report = write_report([folder], folder)
    if not quiet:
        print_table(loaded.name, [summary_row(result.summary)])
        typer.echo(f"report: {report}")


@app.command(epilog="Example: fedtiny sweep scenario.yaml --axis network.latency='0 ms,100 ms,1 s' --axis update=full,tinytl --seeds 3")
def sweep(
    scenario: ScenarioFile,
    axis: Annotated[list[str] | None, typer.Option(metavar="KEY=v1,v2,...", help="A YAML list; repeatable.", show_default=False)] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Run seed ... seed + N - 1.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; else what suits this machine.", show_default=False)] = None,
    sets: Sets = None,
    out: Out = None,
    resume: Resume = False,
    allow_code: AllowCode = False,
    quiet: Quiet = False,
) -> None:
    """Run every combination of some values, with paired seeds; finished cells are not run again."""
    from fedtiny.reports.page import write_sweep_report
    from fedtiny.scenario.files import override, read_tree
    from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
    from fedtiny.sweeps.local import default_workers, processes
    from fedtiny.sweeps.rows import cell_rows
    from fedtiny.sweeps.sweep import run_sweep

    base, axes = split_sweep(override(read_tree(scenario), _overrides(sets, None)))
    crossed = cross(base, scenario.parent, [*axes, *(parse_axis(text) for text in axis or ())], seeds)
    folder = out or _RUNS / crossed.name
    with sweep_progress(quiet, len(crossed.cells)) as tell, processes(workers or default_workers(len(crossed.cells))) as executor:
        result = run_sweep(crossed, folder, executor, allow_code=allow_code, tell=tell)
    report = write_sweep_report(folder)
    if not quiet:
        print_table(crossed.name, cell_rows(result))
        typer.echo(f"report: {report}")
    if "failed" in result.cells["status"].to_pylist():
        raise ExperimentError(f"some cells failed; their folders in {folder / 'cells'} say why, and the same command runs them again")


@app.command(epilog="Example: fedtiny validate scenario.yaml")
def validate(scenario: ScenarioFile, sets: Sets = None, allow_code: AllowCode = False) -> None:
    """Check a scenario without running it; what is wrong is said with file and line."""
    from fedtiny.preparation import check
    from fedtiny.scenario.files import explained, override, read_tree
    from fedtiny.sweeps.axes import cross, split_sweep

    base, axes = split_sweep(override(read_tree(scenario), _overrides(sets, None)))
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
) -> None:
    """Draw the report of a run or a sweep again, or several runs side by side, from their folders alone."""
    from fedtiny.reports.page import write_report

    typer.echo(f"report: {write_report(folders, out or (folders[0] if len(folders) == 1 else _RUNS / 'comparison'))}")


@app.command(epilog="Example: fedtiny memory '{kind: mobilenet_v2, width: 0.35}' --input 3,96,96 --update tinytl --plot memory.svg")
def memory(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A kind of network, or a part in YAML.", show_default=False)],
    update: Annotated[str | None, typer.Option(metavar="YAML", help="One update; all schemes if left out.", show_default=False)] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples in a batch.")] = 8,
    input_shape: Annotated[str, typer.Option("--input", metavar="C,H,W", help="Channels, height, width of a sample.")] = "3,224,224",
    classes: Annotated[int, typer.Option(min=1, help="Classes of the task.")] = 10,
    lite_residual: Annotated[bool | None, typer.Option(help="With or without lite residual modules.", show_default=False)] = None,
    accounting: Annotated[
        Literal["tinytl", "mcu", "autograd"] | None,
        typer.Option(help="One way of counting; all, and the items of tinytl, if left out.", show_default=False),
    ] = None,
    optimizer: Annotated[str, typer.Option(metavar="YAML", help="Whose state is counted (autograd).")] = "sgd",
    strategy: Annotated[str | None, typer.Option(metavar="YAML", help="Whose vectors are counted.", show_default=False)] = None,
    local_steps: Annotated[int, typer.Option(min=1, help="Local steps of a round, for the strategy.")] = 10,
    measure: Annotated[bool, typer.Option("--measure", help="Also take a real step, and measure it.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the step, layer by layer: .svg, .png.", show_default=False)
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Training memory of a network, item by item, in every accounting; all update schemes side by side if none is named."""
    from fedtiny.scenario.memory import MemoryQuestion, memory_answer, memory_rows, write_memory_plot

    asked = MemoryQuestion(
        model=model,
        update=update,
        batch_size=batch_size,
        input_shape=input_shape,
        classes=classes,
        lite_residual=lite_residual,
        accounting=accounting,
        optimizer=optimizer,
        strategy=strategy,
        local_steps=local_steps,
        measure=measure,
        allow_code=allow_code,
    )
    answer = memory_answer(asked)
    if plot is not None:
        write_memory_plot(answer, plot)
    if as_json:
        print_json(answer.document)
    else:
        shown = answer.document["accounting"]
        print_table(
            f"{answer.document['model']}, batch of {batch_size}, input {input_shape}; items of {shown}", memory_rows(answer.document)
        )
        if plot is not None:
            typer.echo(f"plot: {plot}")


@app.command(epilog="Example: fedtiny catalog devices raspberry_pi_4 --json")
def catalog(
    family: Annotated[str, typer.Argument(metavar="devices|networks|models|datasets|partitions|updates|strategies|optimizers")],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One entry, in full.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """What can be named in a scenario, with where its numbers come from."""
    from fedtiny.scenario.catalog import catalog_document, catalog_entry, catalog_rows
    from fedtiny.scenario.tree import dump_tree

    if as_json:
        print_json(catalog_entry(family, name) if name else catalog_document(family))
    elif name:
        typer.echo(dump_tree(catalog_entry(family, name)), nl=False)
    else:
        print_table(family, catalog_rows(family))


@app.command(epilog="Example: fedtiny schema > scenario.schema.json")
def schema() -> None:
    """The JSON schema of a scenario, for editors."""
    from fedtiny.scenario.reference import editor_schema

    print_json(editor_schema())


@app.command(epilog="Example: fedtiny init mine && fedtiny run mine.yaml")
def init(name: Annotated[str, typer.Argument(metavar="[NAME]", help="Name of the scenario.", show_default=True)] = "my_scenario") -> None:
    """Write a small commented scenario to start from."""
    from fedtiny.scenario.files import write_template

    typer.echo(f"wrote {write_template(name)}")


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

    loaded, sources = load_with_source(scenario, _overrides(sets, seed))
    with explained(sources), run_progress(quiet) as progress:
        experiment.pretrain(loaded, out, progress=progress, allow_code=allow_code)
    if not quiet:
        typer.echo(f"wrote {out}")


@app.command(
    epilog="Example: fedtiny contribution scenario.yaml --budget '100 KiB' --steps 50 --layers 30,33,36,39 --out runs/contribution"
)
def contribution(
    scenario: ScenarioFile,
    budget: Annotated[str, typer.Option(metavar="SIZE", help="Extra memory of the update, at most.")] = "100 KiB",
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps of each measurement.")] = 100,
    repeats: Annotated[int, typer.Option(min=1, help="Draws of the batches to average over.")] = 1,
    layers: Annotated[str | None, typer.Option(metavar="I,J,...", help="Convolutions to try; all if left out.", show_default=False)] = None,
    depths: Annotated[str | None, typer.Option(metavar="K,L,...", help="Bias depths to try; about a dozen.", show_default=False)] = None,
    shares: Annotated[str, typer.Option(metavar="R,S,...", help="Shares of input channels to try.")] = "0.125,0.25,0.5,1",
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write contribution.json and the figure.", show_default=False)] = None,
    sets: Sets = None,
    seed: Seed = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure what each bias depth and each layer adds to accuracy, and find the best sparse update within a memory budget."""
    from fedtiny.experiment import Progress
    from fedtiny.scenario.contribution import analysis_of, contribution_rows, memory_budget, write_contribution
    from fedtiny.scenario.files import explained, load_with_source
    from fedtiny.scenario.tree import dump_tree
    from fedtiny.update_search import search_update

    analysis, limit = analysis_of(steps, repeats, depths, layers, shares), memory_budget(budget)
    loaded, sources = load_with_source(scenario, _overrides(sets, seed))
    with explained(sources), run_progress(quiet or as_json) as bar:
        progress = lambda done, total: bar(Progress("measuring", done, total))  # noqa: E731
        found = search_update(loaded, limit, analysis, allow_code=allow_code, progress=progress)
    if out is not None:
        write_contribution(found.document(), out)
    if as_json:
        print_json(found.document())
    elif not quiet:
        print_table(f"{loaded.name}: the best sparse update within {budget} of extra memory", contribution_rows(found.document()))
        typer.echo(dump_tree({"update": found.update}), nl=False)


def _overrides(sets: Sequence[str] | None, seed: int | None) -> list[Any]:
    from fedtiny.scenario.files import Override, parse_override

    given = [parse_override(text) for text in sets or ()]
    return given if seed is None else [*given, Override(("seed",), seed, f"--seed {seed}")]


def _fail(message: str, code: int) -> int:
    typer.echo(f"fedtiny: {message}", err=True)
    return code
