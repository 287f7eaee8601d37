"""Commands for before a run: what training takes of a device's memory, what a run takes of time, and which sparse update suits."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from fedtiny.command_options import AllowCode, AsJson, Axes, Quiet, ScenarioFile, Seed, Sets, overrides
from fedtiny.terminal import print_json, print_table
from fedtiny.watching.watch import run_progress

if TYPE_CHECKING:
    from fedtiny.sweeps.axes import Sweep

MEMORY_EXAMPLE: Final = "Example: fedtiny memory '{kind: mobilenet_v2, width: 0.35}' --input 3,96,96 --update tinytl --plot memory.svg"
PLAN_EXAMPLE: Final = "Example: fedtiny plan scenario.yaml --set network.latency='300 ms' --set stop.rounds=20"
CONTRIBUTION_EXAMPLE: Final = (
    "Example: fedtiny contribution scenario.yaml --budget '100 KiB' --steps 50 --layers 30,33,36,39 --out runs/contribution"
)


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
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="A device of the catalog: does it fit, or page?", show_default=False)
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help="Also take a real step, and measure it.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the step, layer by layer: .svg, .png.", show_default=False)
    ] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Training memory of a network, item by item, in every accounting; all update schemes side by side if none is named."""
    from fedtiny.scenario.memory import MemoryQuestion, memory_answer, memory_rows, write_memory_plot

    question = MemoryQuestion(model, update, batch_size, input_shape, classes, lite_residual, accounting, optimizer, strategy)
    answer = memory_answer(replace(question, local_steps=local_steps, measure=measure, allow_code=allow_code, device=device))
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


def plan(
    scenario: ScenarioFile,
    sets: Sets = None,
    seed: Seed = None,
    axis: Axes = None,
    seeds: Annotated[int, typer.Option(min=1, help="Of a sweep.")] = 1,
    workers: Annotated[int | None, typer.Option(min=1, help="Of a sweep; else what suits this machine.", show_default=False)] = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """What a run would take, without training: does it fit each class of devices, seconds per round, bytes, joules, the bottleneck.
    Of a sweep: rounds of each combination, and how long all of it takes on this machine."""
    from fedtiny import plan as planning
    from fedtiny.progress import Progress
    from fedtiny.scenario.files import Override, explained, load_with_source, override, read_tree
    from fedtiny.sweeps.axes import cross, parse_axis, split_sweep

    base, axes = split_sweep(override(read_tree(scenario), overrides(sets, seed)))
    axes = [*axes, *(parse_axis(text) for text in axis or ())]
    if axes or seeds > 1:
        _plan_sweep(cross(base, scenario.parent, axes, seeds), workers, allow_code=allow_code, as_json=as_json, quiet=quiet)
        return
    timed = Override(("learning",), "none", "fedtiny plan")
    loaded, sources = load_with_source(scenario, [*overrides(sets, seed), timed])
    rounds, until = loaded.stop.rounds, loaded.stop.virtual_time
    with explained(sources), run_progress(quiet or as_json) as tell:
        found = planning.plan(
            loaded, allow_code=allow_code, progress=lambda done, now: tell(Progress("rounds", done, rounds, now, until=until))
        )
    if as_json:
        print_json(found.document)
    elif not quiet:
        print_table(f"{loaded.name}: what the devices train", planning.class_rows(found.document))
        print_table("the rounds", planning.total_rows(found.document))
        print_table("what kept the device that came last", planning.cause_rows(found.document))
        for note in found.document["notes"]:
            typer.echo(note)


def _plan_sweep(sweep: "Sweep", workers: int | None, *, allow_code: bool, as_json: bool, quiet: bool) -> None:
    from fedtiny.progress import Progress
    from fedtiny.reports.quantities import seconds
    from fedtiny.sweeps.local import default_workers
    from fedtiny.sweeps.sweep_plan import plan_sweep

    with run_progress(quiet or as_json) as bar:
        found = plan_sweep(
            sweep, workers or default_workers(), allow_code=allow_code, tell=lambda done, total: bar(Progress("planning", done, total))
        )
    if as_json:
        print_json(found.document)
    elif not quiet:
        print_table(f"{found.name}: what each combination takes", found.rows)
        typer.echo(
            f"all {found.document['runs']} runs: about {seconds(found.host_seconds)} on {found.workers} processes of this machine, and "
            f"{seconds(found.processor_seconds)} of computing; less where runs reach their target, or are there already"
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
    from fedtiny.progress import Progress
    from fedtiny.scenario.contribution import analysis_of, contribution_rows, memory_budget, write_contribution
    from fedtiny.scenario.files import explained, load_with_source
    from fedtiny.scenario.tree import dump_tree
    from fedtiny.update_search import search_update

    analysis, limit = analysis_of(steps, repeats, depths, layers, shares), memory_budget(budget)
    loaded, sources = load_with_source(scenario, overrides(sets, seed))
    with explained(sources), run_progress(quiet or as_json) as bar:
        found = search_update(
            loaded, limit, analysis, allow_code=allow_code, progress=lambda done, total: bar(Progress("measuring", done, total))
        )
    if out is not None:
        write_contribution(found.document(), out)
    if as_json:
        print_json(found.document())
    elif not quiet:
        print_table(f"{loaded.name}: the best sparse update within {budget} of extra memory", contribution_rows(found.document()))
        typer.echo(dump_tree({"update": found.update}), nl=False)
