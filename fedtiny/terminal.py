"""What the command line writes to standard output: tables and JSON."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import typer
from rich import box
from rich.console import Console
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
    width = width or (None if sys.stdout.isatty() else _WIDTH_IN_FILES)
    console = Console(width=width, highlight=False, markup=False, color_system=None if os.environ.get("NO_COLOR") else "auto")
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
