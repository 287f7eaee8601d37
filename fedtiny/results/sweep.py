"""The folder of a sweep: what was crossed (sweep.json) and one row for each cell and seed (cells.parquet).

The runs themselves lie in folders of their own beside them, which sweep.json names.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from fedtiny.errors import FolderError
from fedtiny.results.files import FORMAT, json_text, read_json, read_table, replace_file, table_bytes
from fedtiny.results.search import Search, search_of
from fedtiny.results.statistics import Interval, mean_interval

SWEEP_FILE: Final = "sweep.json"
CELLS_FILE: Final = "cells.parquet"
_ATTRIBUTION: Final = [
    pa.field("bottleneck", pa.string()),
    pa.field("mean_staleness", pa.float64()),
    pa.field("wasted_compute", pa.float64()),
    pa.field("wasted_bytes", pa.float64()),
    pa.field("stragglers_stall", pa.float64()),
    pa.field("missing_stall", pa.float64()),
    pa.field("communication_stall", pa.float64()),
]
_LATER: Final = [
    pa.field("rounds_to_target", pa.int64()),
    pa.field("bytes_to_target", pa.int64()),
    pa.field("energy_to_target", pa.float64()),
    pa.field("area_under_curve", pa.float64()),
    pa.field("peak_memory", pa.int64()),
    pa.field("carbon", pa.float64()),
]
_SUMMARY: Final = [
    pa.field("rounds", pa.int64()),
    pa.field("virtual_time", pa.float64()),
    pa.field("accuracy", pa.float64()),
    pa.field("loss", pa.float64()),
    pa.field("time_to_target", pa.float64()),
    pa.field("bytes_up", pa.int64()),
    pa.field("bytes_down", pa.int64()),
    pa.field("energy", pa.float64()),
    *_ATTRIBUTION,
    *_LATER,
]
_SEARCHED: Final = [pa.field("trial", pa.int64(), nullable=False), pa.field("on_front", pa.bool_(), nullable=False)]


def cells_schema(axes: tuple[str, ...], *, searched: bool = False) -> pa.Schema:
    """The columns of cells.parquet: cell, one column per axis (its value as it was written), seed, status, then the summary.

    status is done, infeasible or failed; the summary is null unless it is done. Of a search also trial, from 0 in the order in which
    combinations were tried, and on_front, whether no other trial beats it.
    """
    names = [pa.field(name, pa.string(), nullable=False) for name in ("cell", *axes)]
    ended = [pa.field("seed", pa.int64(), nullable=False), pa.field("status", pa.string(), nullable=False)]
    return pa.schema([*names, *ended, *(_SEARCHED if searched else []), *_SUMMARY])


@dataclass(frozen=True, eq=False)
class SweepResult:
    """A sweep: its axes (key -> values as written), its seeds, its scenario, one row of `cells` per combination and seed.

    `folders` maps the id of a cell to its run folder, relative to the sweep's. `search` is there if combinations were searched: then
    `cells` has some of them, in the order in which they were tried, and further columns.
    """

    name: str
    axes: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...]
    target_accuracy: float | None
    scenario_yaml: str
    cells: pa.Table
    folders: dict[str, str]
    search: Search | None = None


def write_sweep(sweep: SweepResult, folder: str | Path) -> Path:
    """Write sweep.json and cells.parquet, each whole or not at all, and give the folder; nothing else in it is touched."""
    place = Path(folder)
    document: dict[str, Any] = {
        "format": FORMAT,
        "name": sweep.name,
        "axes": sweep.axes,
        "seeds": sweep.seeds,
        "target_accuracy": sweep.target_accuracy,
        "scenario": sweep.scenario_yaml,
        "cells": [{"cell": cell, "folder": path} for cell, path in sweep.folders.items()],
    } | ({} if sweep.search is None else {"search": sweep.search.to_plain()})
    schema = cells_schema(tuple(sweep.axes), searched=sweep.search is not None)
    replace_file(place / CELLS_FILE, table_bytes(sweep.cells, schema))
    replace_file(place / SWEEP_FILE, json_text(document).encode())
    return place


def is_sweep(folder: str | Path) -> bool:
    """Whether the folder is that of a sweep."""
    return (Path(folder) / SWEEP_FILE).is_file()


def read_sweep(folder: str | Path) -> SweepResult:
    """The sweep of a folder; raises FolderError if there is none, or a damaged one."""
    place = Path(folder)
    if not is_sweep(place):
        raise FolderError(f"{place} is not the folder of a sweep, it has no {SWEEP_FILE}: name a folder that `fedtiny sweep` wrote")
    found = read_json(place / SWEEP_FILE, required=("name", "axes", "seeds", "scenario", "cells"))
    axes = {str(key): tuple(str(value) for value in values) for key, values in found["axes"].items()}
    schema = cells_schema(tuple(axes), searched="search" in found)
    return SweepResult(
        name=found["name"],
        axes=axes,
        seeds=tuple(found["seeds"]),
        target_accuracy=found.get("target_accuracy"),
        scenario_yaml=found["scenario"],
        cells=read_table(place / CELLS_FILE, schema, added=[field.name for field in (*_ATTRIBUTION, *_LATER)]),
        folders={entry["cell"]: entry["folder"] for entry in found["cells"]},
        search=search_of(found["search"]) if "search" in found else None,
    )


@dataclass(frozen=True)
class Combination:
    """One combination of the axes' values (in the order of the axes) and its rows of cells.parquet, one per seed."""

    values: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]

    @property
    def status(self) -> str:
        """done if any seed is done; else failed if any failed; else infeasible."""
        found = {row["status"] for row in self.rows}
        return next(status for status in ("done", "failed", "infeasible") if status in found)

    @property
    def done(self) -> tuple[dict[str, Any], ...]:
        """The rows of the seeds that are done."""
        return tuple(row for row in self.rows if row["status"] == "done")

    def known(self, column: str) -> dict[int, float]:
        """A summary column by seed, of those that are done and have a value: a target that was never reached has none."""
        return {row["seed"]: row[column] for row in self.done if row[column] is not None}

    def interval(self, column: str) -> Interval | None:
        """Mean and 95 % interval of a summary column over the seeds that are done; None unless every one of them has a value.

        A mean over those seeds alone that reached a target would praise what seldom reaches it.
        """
        known = self.known(column)
        return mean_interval(known.values()) if len(known) == len(self.done) else None


def combinations(sweep: SweepResult) -> list[Combination]:
    """The combinations that have rows, in the order of the axes' values."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in sweep.cells.to_pylist():
        found.setdefault(tuple(row[axis] for axis in sweep.axes), []).append(row)
    # of a search there may be more combinations than anybody can count through
    ranks = [{value: rank for rank, value in enumerate(values)} for values in sweep.axes.values()]
    ordered = sorted(found, key=lambda values: [rank[value] for rank, value in zip(ranks, values, strict=True)])
    return [Combination(values, tuple(sorted(found[values], key=lambda row: row["seed"]))) for values in ordered]
