"""The command that measures this machine. It alone of all commands reads a clock to learn how fast something is."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from fedtiny.command_options import AllowCode, AsJson, Quiet, Sets, overrides
from fedtiny.errors import ScenarioError
from fedtiny.terminal import print_json, print_table
from fedtiny.watching.watch import calibration_progress

CALIBRATE_EXAMPLE: Final = "Example: fedtiny calibrate --out my_machine.yaml"
_RESTLESS: Final = 0.25


def calibrate(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SCENARIO]",
            help="With --cohorts, whose network, update and sizes; left out: those of `fedtiny init`.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The YAML file to write; left out: standard output.", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(min=1.0, max=3600.0, help="How long to time steps; more is more precise.")] = 75.0,
    cohorts: Annotated[
        bool, typer.Option("--cohorts", help="Instead measure which way of training many clients suits, and print its keys.")
    ] = False,
    turns: Annotated[int, typer.Option(min=1, help="With --cohorts, how often every way is timed; medians are compared.")] = 5,
    sets: Sets = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure this machine, in under two minutes, and write its device profile, which a scenario can name. A run measures nothing."""
    if cohorts:
        if out is not None:
            raise ScenarioError("--out is where a device profile goes: with --cohorts, keys are printed; leave it out")
        _calibrate_cohorts(scenario, turns, sets, allow_code, as_json)
    elif scenario is not None or sets:
        raise ScenarioError("a device profile is of the machine and of no scenario: leave the scenario out, or add --cohorts")
    else:
        _calibrate_machine(out, seconds, as_json, quiet)


def _calibrate_machine(out: Path | None, seconds: float, as_json: bool, quiet: bool) -> None:
    from fedtiny.calibration.calibrate import calibrate_machine
    from fedtiny.calibration.profile_text import calibration_document, profile_text, require_place, write_whole

    if out is not None:
        require_place(out)
    with calibration_progress(quiet) as tell:
        found = calibrate_machine(time.perf_counter, seconds, tell)
    if found.spread > _RESTLESS:
        typer.echo(f"the times of a step vary by {found.spread:.0%}: close what else runs here, and measure again", err=True)
    text = profile_text(found, "my_machine.yaml" if out is None else out.name, datetime.now(UTC).date().isoformat())
    if out is not None:
        write_whole(out, text)
    if as_json:
        print_json(calibration_document(found))
    elif out is None:
        typer.echo(text, nl=False)
    elif not quiet:
        typer.echo(
            f"{out}: {found.machine.processor}, measured in {found.seconds:.0f} s; it explains {len(found.measured)} steps with a median "
            f"error of {found.error:.0%}. In a scenario's fleet: device: {{kind: profile, path: {out.name}}}"
        )


def _calibrate_cohorts(scenario: Path | None, turns: int, sets: list[str] | None, allow_code: bool, as_json: bool) -> None:
    from fedtiny.cohort_calibration import calibrate_cohorts, cohort_document, cohort_rows
    from fedtiny.scenario.files import explained, load_with_source, template_scenario
    from fedtiny.scenario.tree import dump_tree

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
