"""Runs and cells as rows of texts, for a table on the screen."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from fedtiny.reports.quantities import NONE, grams, joules, number, percent, seconds, size
from fedtiny.reports.search_headline import search_headline
from fedtiny.results.sweep import SweepResult

_SUMMARY: Final[Mapping[str, Callable[[Any], str]]] = {
    "rounds": number,
    "virtual_time": seconds,
    "accuracy": number,
    "loss": number,
    "time_to_target": seconds,
    "bytes_up": size,
    "bytes_down": size,
    "energy": joules,
    "carbon": grams,
    "bottleneck": lambda cause: str(cause or NONE).replace("_", "-"),
    "wasted_compute": percent,
    "wasted_bytes": percent,
}


def summary_row(summary: Mapping[str, Any]) -> dict[str, str]:
    """The summary of a run, with units; emissions where it has them."""
    return {key: write(summary.get(key)) for key, write in _SUMMARY.items() if key != "carbon" or "carbon" in summary}


def search_sentences(result: SweepResult) -> tuple[str, ...]:
    """What came of a search, in words; nothing of another sweep."""
    return () if result.search is None else search_headline(result, result.search)


def cell_rows(result: SweepResult) -> list[dict[str, str]]:
    """One row for every cell of a sweep: its id, its values on the axes, its seed and status, and its summary; of a search also its trial
    and whether that is on the front, or the best."""
    searched = () if result.search is None else ("trial", "on_front")
    said, rows = ("cell", *result.axes, "seed", "status", *searched), result.cells.to_pylist()
    unknown = {"carbon"} if all(row["carbon"] is None for row in rows) else set()
    return [{key: str(row[key]) for key in said} | summary_row({key: row[key] for key in row.keys() - unknown}) for row in rows]
