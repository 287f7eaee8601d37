"""The few forms of Markdown that the generated pages are made of."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

GENERATED: Final = "<!-- Generated from the code: change it there, then `make reference`. -->"


def cell(text: object) -> str:
    """A text as a cell of a table holds it: one line, its bars escaped."""
    return " ".join(str(text).split()).replace("|", "\\|")


def prose(text: object) -> str:
    """A text of the code's as a paragraph: one line, in which `<name>` outside of backticks is no tag."""
    parts = re.split(r"(`[^`]*`)", " ".join(str(text).split()))
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


def code(text: object) -> str:
    """A text in the type of code; nothing of nothing."""
    return f"`{text}`" if str(text) else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; columns that are empty in all rows are left out."""
    texts = [[cell(value) for value in row] for row in rows]
    kept = [number for number, _ in enumerate(head) if any(row[number] for row in texts)]
    lines = [[head[number] for number in kept], ["---"] * len(kept), *([row[number] for number in kept] for row in texts)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page(title: str, *parts: str) -> str:
    """A generated page of paragraphs."""
    return "\n\n".join([GENERATED, f"# {title}", *(part for part in parts if part)]) + "\n"
