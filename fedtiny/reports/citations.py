"""The works that runs stand on, as run.json lists them: what each was used for, and BibTeX to copy."""

from collections.abc import Sequence

from fedtiny.reports.blocks import Block, Listing, Table
from fedtiny.results.record import Citation, RunResult


def citations_of(results: Sequence[RunResult]) -> list[Citation]:
    """The citations of all runs, each key once, in the order in which they first appear."""
    found: dict[str, Citation] = {}
    for result in results:
        for citation in result.citations:
            found.setdefault(citation["key"], citation)
    return list(found.values())


def citation_blocks(results: Sequence[RunResult]) -> tuple[Block, ...]:
    """A table of the works and a listing of their BibTeX; nothing if nothing is cited."""
    works = citations_of(results)
    if not works:
        return ()
    table = Table(("used for", "work"), tuple((work["why"], work["text"]) for work in works), text_columns=2)
    return table, Listing("BibTeX", "\n\n".join(work["bibtex"].strip() for work in works) + "\n")
