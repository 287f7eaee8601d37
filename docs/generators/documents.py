"""Documents as a reader meets them: files to write and commands to type, in the order of the page.

A fenced block whose first line names a file (```` ```yaml first.yaml ````) is that file; one of language `diff` says what changes in a
file that is there: lines that begin with `-` go, those with `+` come, others stay. A `console` block holds commands behind `$ ` and,
below each, what it prints; `...` stands for anything that is left out. Blocks called `bash`, `sh` or nothing hold commands, one a line.
"""

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedtiny.cli import main

ROOT = Path(__file__).parents[2]
SHELLS = ("bash", "sh", "")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
PRECISION = 0.005
"""How far a shown number may be from the one that comes, in shares of it: processors round differently."""
_OPERATORS = {"&&", "||", "|", "&", ";", ">", ">>", "<"}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the number of its first line, its language, the rest of the fence's line, and what it holds."""

    page: Path
    line: int
    language: str
    name: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command as it is typed, where it stands, and the lines that the page shows below it."""

    page: Path
    line: int
    text: str
    shown: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The command's words as a shell splits them, without its comment."""
        return shlex.split(self.text, comments=True)


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    found: list[Block] = []
    opened: tuple[int, str, str, list[str]] | None = None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if opened is None and line.startswith("```"):
            language, _, name = line[3:].partition(" ")
            opened = (number + 1, language, name.strip(), [])
        elif opened is not None and line.startswith("```"):
            found.append(Block(page, opened[0], opened[1], opened[2], "".join(f"{text}\n" for text in opened[3])))
            opened = None
        elif opened is not None:
            opened[3].append(line)
    assert opened is None, f"{page}: a fenced block is not closed"
    return found


def commands(block: Block) -> list[Command]:
    """The commands of a block; none in a block of another language."""
    if block.language not in (*SHELLS, "console"):
        return []
    prompt = "$ " if block.language == "console" else ""
    found: list[Command] = []
    for number, text in _joined(block):
        if text.startswith(prompt) and text.strip() and not text.startswith("#"):
            found.append(Command(block.page, number, text.removeprefix(prompt)))
        elif found:
            last = found.pop()
            found.append(Command(last.page, last.line, last.text, (*last.shown, text)))
    return found


def _joined(block: Block) -> Iterator[tuple[int, str]]:
    """Numbered lines, those that end in a backslash with the next one."""
    begun, waiting = 0, ""
    for number, line in enumerate(block.text.splitlines(), start=block.line):
        begun = begun if waiting else number
        if line.endswith("\\"):
            waiting += line[:-1].rstrip() + " "
            continue
        yield begun, waiting + (line.lstrip() if waiting else line)
        waiting = ""


@dataclass(frozen=True)
class Outcome:
    """The exit code of a command, what it printed, and what it said on standard error: errors, and where it is."""

    code: int
    printed: str
    said: str


def in_a_shell(command: Command, folder: Path) -> Outcome:
    """A command as a reader types it: in bash, with the `fedtiny` that belongs to this Python."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if (folder / "fedtiny" / "__init__.py").exists():  # a copy of the repository, which a page changes
        environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(
        ["bash", "-c", command.text],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def in_this_process(command: Command, folder: Path) -> Outcome:
    """The same, seconds faster: libraries are imported already. For plain commands of fedtiny; others go to a shell."""
    words = command.words
    if words[0] != "fedtiny" or _OPERATORS & set(words):
        return in_a_shell(command, folder)
    printed, said = io.StringIO(), io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        code = main(words[1:])
    return Outcome(code, printed.getvalue(), said.getvalue())


def follow(page: Path, folder: Path, perform: Callable[[Command, Path], Outcome], skipped: Sequence[str] = ()) -> None:
    """Do in a folder what a page says, in its order: write its files, type its commands, run its Python; blocks named in `skipped` not.

    Raises AssertionError, with page and line, where a command ends otherwise than the page says, or prints something else. A command is
    to end well, unless the first line that the page shows is an error of FedTiny's.
    """
    for block in blocks(page):
        if block.name in skipped and block.name:
            continue
        if block.name:
            _write(block, folder / block.name)
        elif block.language == "python":
            typed = Command(page, block.line, f"python {shlex.join(['-c', block.text])}")
            check(typed, perform(typed, folder))
        for command in () if block.name else commands(block):
            check(command, perform(command, folder))


def _write(block: Block, file: Path) -> None:
    """Writes a block's file, or changes it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = block.text if block.language != "diff" else changed(file.read_text(encoding="utf-8"), block)
    file.write_text(text, encoding="utf-8")


def changed(text: str, block: Block) -> str:
    """A file's text after the change of a `diff` block; AssertionError unless the lines that go or stay are in it exactly once."""
    lines = block.text.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if not line.startswith("+"))
    after = "".join(line[1:] for line in lines if not line.startswith("-"))
    assert text.count(before) == 1, f"{block.page}:{block.line}: {block.name} has these lines {text.count(before)} times:\n{before}"
    return text.replace(before, after)


def check(command: Command, outcome: Outcome) -> None:
    """Raises AssertionError if the outcome is not what the page shows."""
    place = f"{command.page.relative_to(ROOT)}:{command.line}: {command.text}"
    fails = bool(command.shown) and command.shown[0].startswith("fedtiny: ")
    assert (outcome.code != 0) == fails, f"{place}\nended with {outcome.code}:\n{outcome.printed}\n{outcome.said}"
    shown = ("...", *command.shown) if fails else command.shown
    came = (outcome.said,) if fails else (outcome.printed, outcome.said + outcome.printed)
    missing = [first_missing(shown, text) for text in came]
    assert None in missing, f"{place}\nthe page shows\n{missing[0]}\nbut what came is\n{came[-1]}"


def first_missing(shown: Sequence[str], printed: str) -> str | None:
    """The first shown line that did not come in its place, or None. Spaces, rules and empty lines do not count; `...` alone is any
    number of lines, within a line any text; numbers may differ by `PRECISION`. What follows the last shown line is not compared."""
    lines = [line for line in (_plain(line) for line in printed.splitlines()) if line]
    place, anywhere = 0, False
    for wanted in (line for line in (_plain(line) for line in shown) if line):
        if wanted == "...":
            anywhere = True
            continue
        places = range(place, len(lines) if anywhere else min(place + 1, len(lines)))
        found = next((number for number in places if same_line(wanted, lines[number])), None)
        if found is None:
            return wanted
        place, anywhere = found + 1, False
    return None


def _plain(line: str) -> str:
    return " ".join(line.replace("─", " ").split())


def same_line(wanted: str, came: str) -> bool:
    """Whether a line is the one that is shown, but for what is left out and for the last digits of its numbers."""
    pattern = "".join(_pattern(part) for part in re.split(rf"(\.\.\.|{NUMBER.pattern})", wanted))
    match = re.fullmatch(pattern, came)
    numbers = [float(text) for text in NUMBER.findall(wanted.replace("...", " "))]
    return match is not None and all(
        abs(float(found) - number) <= PRECISION * abs(number) for found, number in zip(match.groups(), numbers, strict=True)
    )


def _pattern(part: str) -> str:
    if part == "...":
        return ".*"
    return rf"({NUMBER.pattern})" if NUMBER.fullmatch(part) else re.escape(part)
