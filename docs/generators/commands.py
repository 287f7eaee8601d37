"""Every command that the pages name: what is in their fenced blocks, and what stands between backticks in their text."""

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import typer.main
from documents import ROOT, Command, blocks, commands

from fedtiny.cli import app
from fedtiny.command_options import overrides
from fedtiny.scenario.files import override, read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep

FOLLOWED: Final = ("docs/tutorial.md", "docs/guides/*.md")
"""Pages that their own tests do from the first line to the last."""
PROGRAMS: Final = ("fedtiny", "make", "python")
_MENTION = re.compile(r"`((?:fedtiny|make|python) [^`]*)`")
_PLACEHOLDER = re.compile(r"[A-Z_]{2,}|N|<[^>]*>|\[.*")
_IN_A_SCENARIO = re.compile(r"^#\s+(fedtiny .*)$")


def pages() -> list[Path]:
    """All pages of the documentation, the README first."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def followed() -> list[Path]:
    """The pages that are done as a whole."""
    return [page for pattern in FOLLOWED for page in sorted(ROOT.glob(pattern))]


def typed() -> list[Command]:
    """The commands in fenced blocks of the pages that are not done as a whole."""
    whole = followed()
    fenced = (command for page in pages() if page not in whole for block in blocks(page) if not block.name for command in commands(block))
    return [one for command in fenced for one in _singly(command)]


def mentioned() -> list[Command]:
    """The commands between backticks in the text of all pages, and in the comments of the scenarios."""
    found = []
    for page in pages():
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
            found += [one for text in _MENTION.findall(line) for one in _singly(Command(page, number, text))]
    for file in sorted((ROOT / "scenarios").glob("**/*.yaml")):
        found += _of_comments(file)
    return found


def _singly(command: Command) -> list[Command]:
    """The parts of a command that stand between `&&`, without where their output goes."""
    parts = re.split(r" && ", command.text)
    return [Command(command.page, command.line, shlex.join(shlex.split(part.partition(" > ")[0], comments=True))) for part in parts]


def _of_comments(file: Path) -> list[Command]:
    """The commands in a scenario's comments; a backslash joins them with the next line."""
    text = re.sub(r"\\\n#\s*", "", file.read_text(encoding="utf-8"))
    lines = ((number, _IN_A_SCENARIO.match(line)) for number, line in enumerate(text.splitlines(), start=1))
    return [Command(file, number, match.group(1)) for number, match in lines if match]


def has_placeholder(command: Command) -> bool:
    """Whether a reader has to put in words of his own: `NAME`, `<command>`."""
    return any(_PLACEHOLDER.fullmatch(word) for word in command.text.split())


def parsed(words: Sequence[str], folder: Path) -> dict[str, Any]:
    """The values of a command of fedtiny, read by its own parser, with its scenario, overrides and axes looked up and validated.

    `folder` is where a relative scenario is. Raises click.ClickException or a FedTiny error saying what is wrong.
    """
    if len(words) == 2 and words[1].startswith("-"):
        return {}
    command, rest = _command(words)
    values = command.make_context(f"fedtiny {words[1]}", rest).params
    if values.get("scenario") is not None and words[1] != "app":  # whose scenario is a fleet alone
        axes = _axes(folder / values["scenario"], values)
        assert not (axes and words[1] == "run"), "`fedtiny run` refuses a scenario with `sweep:`"
    return values


def _axes(file: Path, values: dict[str, Any]) -> int:
    """How many axes a scenario has; all of its cells are validated."""
    base, axes = split_sweep(override(read_tree(file), overrides(values.get("sets"), values.get("seed"))))
    axes += [parse_axis(text) for text in values.get("axis") or ()]
    cross(base, file.parent, axes)
    return len(axes)


def known(words: Sequence[str]) -> None:
    """Raises click.ClickException if a mention such as `fedtiny run --workers N` names a command or an option that there is none of."""
    if len(words) == 1 or words[1].startswith("-") or _PLACEHOLDER.fullmatch(words[1]):
        return
    command, rest = _command(words)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help", "-h"}
    for word in rest:
        if word.startswith("-") and word.partition("=")[0] not in options:
            raise click.NoSuchOption(word)


def _command(words: Sequence[str]) -> tuple[click.Command, list[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    command = group.get_command(click.Context(group), words[1])
    if command is None:
        raise click.UsageError(f"fedtiny has no command {words[1]}")
    return command, list(words[2:])


def make_would(words: Sequence[str]) -> str:
    """What make would do for a command, without doing it; raises CalledProcessError if it knows no such target."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def scripts(words: Sequence[str]) -> list[Path]:
    """The Python files that a command runs."""
    return [ROOT / word for word in words[1:] if word.endswith(".py")]
