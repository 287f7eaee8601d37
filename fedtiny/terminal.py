"""What the command line shows on a terminal: tables, JSON, progress bars."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

_WIDTH_IN_FILES: Final = 160
_PADDING: Final = 3


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def print_table(title: str, rows: Sequence[dict[str, Any]], width: int | None = None) -> None:
    """Rows of texts under a title, a column for every key. Columns that a line of `width` characters has no room for (a terminal's own
    width, or 160 where nobody looks at a screen) follow in further tables, each of which begins with the first column; a text that is
    wider than that alone goes on below."""
    console = Console(width=width or (None if sys.stdout.isatty() else _WIDTH_IN_FILES), highlight=False, markup=False)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    longest = {column: max(len(str(row.get(column, ""))) for row in rows) for column in columns}
    first = next(iter(longest.values()), 0)
    for number, shown in enumerate(_fitting(columns, rows, console.width)):
        table = Table(title=title if number == 0 else None, title_justify="left", box=box.SIMPLE_HEAD)
        for column in shown:
            fits = first + longest[column] + 2 * _PADDING <= console.width or column == columns[0]
            table.add_column(column.replace("_", " "), no_wrap=fits, min_width=first if column == columns[0] else None)
        for row in rows:
            table.add_row(*(str(row.get(column, "")) for column in shown))
        console.print(table)


def _fitting(columns: Sequence[str], rows: Sequence[dict[str, Any]], width: int) -> list[list[str]]:
    """The columns, cut into stretches that fit `width`, the first column in each of them."""
    room = {column: _PADDING + max(len(column), *(len(str(row.get(column, ""))) for row in rows)) for column in columns}
    stretches = [list(columns[:1])]
    for column in columns[1:]:
        if len(stretches[-1]) > 1 and _PADDING + sum(room[one] for one in stretches[-1]) + room[column] > width:
            stretches.append(list(columns[:1]))
        stretches[-1].append(column)
    return stretches


@contextmanager
def _bar(quiet: bool, *more: str) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), *(TextColumn(text) for text in more), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()) as bar:
        yield bar


@contextmanager
def run_progress(quiet: bool) -> Iterator[Callable[[Any], None]]:
    """A bar for a run, told of its `experiment.Progress`."""
    with _bar(quiet, "{task.completed}/{task.total}", "{task.fields[more]}") as bar:
        task = bar.add_task("preparing", total=None, more="")

        def tell(state: Any) -> None:
            accuracy = "" if state.accuracy is None else f", accuracy {state.accuracy:.3f}"
            more = f"{state.virtual_time:.1f} s of virtual time{accuracy}" if state.phase == "rounds" else ""
            bar.update(task, description=state.phase, completed=state.done, total=state.total, more=more)

        yield tell


@contextmanager
def calibration_progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for a calibration, told what is done and how much of it."""
    with _bar(quiet, "{task.completed}/{task.total}") as bar:
        task = bar.add_task("loading torch", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield tell


@contextmanager
def sweep_progress(quiet: bool, cells: int) -> Iterator[Callable[[Any, Any], None]]:
    """A bar for a sweep, told of every cell and its outcome; what did not end well is said above it."""
    with _bar(quiet, "{task.completed}/{task.total} runs") as bar:
        task = bar.add_task("sweep", total=cells)

        def tell(cell: Any, outcome: Any) -> None:
            if outcome.status != "done":
                where = ", ".join(f"{key}={value}" for key, value in cell.labels.items())
                reason = outcome.reason.strip().rpartition("\n")[2]  # of a traceback, the error
                bar.console.print(f"{cell.id} {where}: {outcome.status}: {reason}", markup=False, highlight=False, soft_wrap=True)
            bar.advance(task)

        yield tell
