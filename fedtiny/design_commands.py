"""The command that finds a network for a fleet."""

from pathlib import Path
from typing import Annotated, Final

import typer

from fedtiny.command_options import AsJson, Quiet, ScenarioFile, Seed, Sets, overrides
from fedtiny.terminal import print_json, print_table
from fedtiny.watching.watch import run_progress

DESIGN_EXAMPLE: Final = "Example: fedtiny design scenarios/design_for_f746.yaml --output runs/f746 --set design.limits.flash='200 kB'"
_RUNS: Final = Path("runs")


def design(
    scenario: ScenarioFile,
    output: Annotated[
        Path | None, typer.Option("--output", "--out", metavar="FOLDER", help="Left out: runs/<name>_design.", show_default=False)
    ] = None,
    sets: Sets = None,
    seed: Seed = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Find a network that trains on the scenario's devices, and pre-train it.

    The scenario is that of the run to come, with `design: {space: ...}`: networks to choose from. Its fleet says what a network may take
    (memory of its update and batch in its accounting; `design.limits`: flash, times, energy); its `model.pretrained` says which share of
    the data the server has, and how what is found is pre-trained (`netaug: {}`: inside wider networks).

    What happens: of some widths and resolutions that space is taken whose fitting networks compute most (TinyNAS); one supernet that holds
    all its networks is trained (Once-for-All); evolution finds the network that is best on held-out public examples and fits every device;
    it is pre-trained. Stages are cached: a design that was interrupted goes on.

    FOLDER then has checkpoint/ (for `model: {kind: checkpoint, path: ...}`), scenario.yaml (the run with it), design.json and report.html.
    """
    from fedtiny.design_folder import document, write_design
    from fedtiny.network_design import design as find
    from fedtiny.scenario.files import explained, load_with_source

    loaded, sources = load_with_source(scenario, overrides(sets, seed))
    with explained(sources), run_progress(quiet or as_json) as progress:
        found = find(loaded, progress)
    report = write_design(found, output or _RUNS / f"{loaded.name}_design")
    if as_json:
        print_json(document(found))
    elif not quiet:
        from fedtiny.reports.design_page import design_rows

        print_table(f"{loaded.name}: the network and what it takes", design_rows(document(found)))
        typer.echo(f"checkpoint: {report.parent / 'checkpoint'}\nreport: {report}\nnext: fedtiny run {report.parent / 'scenario.yaml'}")
