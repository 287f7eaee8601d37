"""The arguments and options that several commands share, as types that typer reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fedtiny.errors import ScenarioError


def _refuse_resume(resume: bool) -> bool:
    if resume:
        raise ScenarioError("--resume is not built yet: run without it; a run starts from the beginning")
    return resume


ScenarioFile = Annotated[Path, typer.Argument(metavar="SCENARIO", help="The scenario's YAML file.", show_default=False)]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value, any YAML.", show_default=False)]
Axes = Annotated[
    list[str] | None, typer.Option("--axis", metavar="KEY=v1,v2,...", help="A YAML list, or 1ms..5s:7:log; repeatable.", show_default=False)
]
Optimize = Annotated[
    str | None,
    typer.Option(metavar="OBJECTIVE,...", help="Search instead: accuracy, time_to_target, peak_memory, ...", show_default=False),
]
Trials = Annotated[int | None, typer.Option(min=1, help="Combinations that a search tries at most; 40 if left out.", show_default=False)]
Batch = Annotated[int | None, typer.Option(min=1, help="Of a search: proposed at a time; 4 if left out.", show_default=False)]
Seed = Annotated[int | None, typer.Option(help="Another seed.", show_default=False)]
Out = Annotated[Path | None, typer.Option(help="The folder to write; runs/<name> if left out.", show_default=False)]
AllowCode = Annotated[bool, typer.Option("--allow-code", help="Let the scenario run Python code of your own (model kind python).")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say errors and what failed, and nothing else.")]
Resume = Annotated[bool, typer.Option("--resume", callback=_refuse_resume, help="Not built yet: refused.")]
ResumeSweep = Annotated[bool, typer.Option("--resume", help="Go on with the sweep that is there, and begin none.")]
RayAddress = Annotated[
    str | None, typer.Option("--ray", metavar="ADDRESS|auto", help="Use this Ray cluster (the extra ray).", show_default=False)
]
SweepWorkers = Annotated[
    int | None,
    typer.Option(min=1, help="Processes; left out: as many as get more done here and find memory, measured.", show_default=False),
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        metavar="tensorboard|mlflow[=DIR]",
        help="Watch it there, too; an extra of the same name is needed.",
        show_default=False,
    ),
]
JournalSize = Annotated[
    str | None, typer.Option(metavar="SIZE", help="Bound of the training that cells share: '4 GB' if left out, 0 for none.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on standard output, and nothing else.")]


def overrides(sets: Sequence[str] | None, seed: int | None) -> list[Any]:
    """What --set and --seed say, to lay over a scenario's file."""
    from fedtiny.scenario.files import Override, parse_override

    given = [parse_override(text) for text in sets or ()]
    return given if seed is None else [*given, Override(("seed",), seed, f"--seed {seed}")]
