"""The works that runs stand on, as run.json lists them: what each was used for, and BibTeX to copy."""

from collections.abc import Sequence
from typing import Final

from fedtiny.reports.blocks import Block, Listing, Table
from fedtiny.results.record import Citation, RunResult

CITATIONS_FILE: Final = "citations.bib"


def citations_of(results: Sequence[RunResult], more: Sequence[Citation] = ()) -> list[Citation]:
    """The citations of all runs, and more, each key once, in the order in which they first appear."""
    found: dict[str, Citation] = {}
    for citation in (*(citation for result in results for citation in result.citations), *more):
        found.setdefault(citation["key"], citation)
    return list(found.values())


def citation_blocks(results: Sequence[RunResult], more: Sequence[Citation] = ()) -> tuple[Block, ...]:
    """A table of the works and a listing of their BibTeX; nothing if nothing is cited."""
    works = citations_of(results, more)
    if not works:
        return ()
    table = Table(("used for", "work"), tuple((work["why"], work["text"]) for work in works), text_columns=2)
    return table, Listing("BibTeX", bibtex_of(results, more), CITATIONS_FILE)


def bibtex_of(results: Sequence[RunResult], more: Sequence[Citation] = ()) -> str:
    """The entries of all works, one field a line, as a .bib file holds them; empty if nothing is cited."""
    return "\n".join(f"{_in_lines(work['bibtex'].strip())}\n" for work in citations_of(results, more))


def _in_lines(entry: str) -> str:
    """The entry with every field on a line of its own: broken at commas outside of braces and quotes, but for the outermost."""
    text, depth = "", 0
    for place, sign in enumerate(entry):
        last = place == len(entry) - 1
        text += "\n" if sign == "}" and last and not text.endswith("\n") else ""
        depth += {"{": 1, "}": -1}.get(sign, 0)
        text += sign
        text += "\n" if sign == "," and depth == 1 else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join([lines[0], *(f"  {line}" for line in lines[1:-1]), *lines[1:][-1:]])
