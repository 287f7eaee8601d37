"""The table and the sentence of what runs waited for, and what was done for nothing."""

from collections.abc import Sequence

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import NONE, number, percent, seconds
from fedtiny.results.record import RunResult


def attribution_table(results: Sequence[RunResult]) -> Table | None:
    """One row for every run whose time is attributed; None where there is none."""
    known = [result for result in results if result.attribution.get("critical_path")]
    leave = any("offline" in result.attribution["stalls"] for result in known)
    rows = tuple(_row(result, leave=leave) for result in known)
    columns = (
        "run",
        "bottleneck",
        "share of path",
        "stragglers",
        "missing replies",
        *(["offline"] if leave else []),
        "communication",
        "staleness",
        "compute wasted",
        "bytes wasted",
    )
    note = (
        "Bottleneck: the cause of most of the critical path. What all devices together waited for: stragglers, as they would over links "
        "that take no time; missing replies, until a timeout with nothing more to come; communication, the rest. Staleness: versions made "
        "between the one a contribution started from and the one it is in, on average. Wasted: what no version contains."
    )
    return Table(columns, rows, note, text_columns=2) if rows else None


def _row(result: RunResult, *, leave: bool) -> tuple[str, ...]:
    found, summary = result.attribution, result.summary
    path, stalls = found["critical_path"], found["stalls"]
    return (
        result.name,
        summary["bottleneck"].replace("_", "-"),
        percent(path[summary["bottleneck"]] / sum(path.values())),
        seconds(stalls["stragglers"]),
        seconds(stalls["missing"]),
        *([seconds(stalls.get("offline", 0.0))] if leave else []),
        seconds(stalls["communication"]),
        NONE if summary["mean_staleness"] is None else number(summary["mean_staleness"]),
        percent(summary["wasted_compute"]),
        percent(summary["wasted_bytes"]),
    )


def attribution_sentence(results: Sequence[RunResult]) -> str:
    """What is to be seen."""
    paths = [result.attribution["critical_path"] for result in results if result.attribution.get("critical_path")]
    if not paths:
        return ""
    return (
        "The critical path: the one chain of activities without a gap that led to the last version, divided by its rounds. What is not on "
        "it was hidden behind something else; making it faster would not make the run faster."
    )
