"""The command that measures this machine. It alone of all commands reads a clock to learn how fast something is."""

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from fedtiny.command_options import AllowCode, AsJson, Sets, overrides
from fedtiny.errors import ScenarioError
from fedtiny.terminal import print_json, print_table

CALIBRATE_EXAMPLE: Final = "Example: fedtiny calibrate scenario.yaml --cohorts"


def calibrate(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SCENARIO]", help="Whose network, update and sizes; left out: those of `fedtiny init`.", show_default=False
        ),
    ] = None,
    cohorts: Annotated[
        bool, typer.Option("--cohorts", help="Measure which way of training many clients suits, and print its keys.")
    ] = False,
    turns: Annotated[int, typer.Option(min=1, help="How often every way is timed; medians are compared.")] = 5,
    sets: Sets = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> None:
    """Measure this machine: with --cohorts, how it trains many clients fastest, as keys for a scenario. A run measures nothing."""
    from fedtiny.cohort_calibration import calibrate_cohorts, cohort_document, cohort_rows
    from fedtiny.scenario.files import explained, load_with_source, template_scenario
    from fedtiny.scenario.tree import dump_tree

    if not cohorts:
        raise ScenarioError("measuring a device profile is not built yet: `fedtiny calibrate --cohorts` is what there is")
    if scenario is None:
        loaded, sources = template_scenario(overrides(sets, None))
    else:
        loaded, sources = load_with_source(scenario, overrides(sets, None))
    with explained(sources):
        measured, chosen = calibrate_cohorts(loaded, time.perf_counter, turns=turns, allow_code=allow_code)
    document = cohort_document(measured, chosen)
    if as_json:
        print_json(document)
        return
    print_table(f"{loaded.name}: training {len(measured)} ways, medians of {turns} turns", cohort_rows(measured, chosen))
    typer.echo(dump_tree({"training": document["training"]}), nl=False)
