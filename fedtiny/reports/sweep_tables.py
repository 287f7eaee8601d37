"""The table of a sweep: every combination with mean and 95 % interval over its seeds."""

from collections.abc import Callable
from typing import Final

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import NONE, Scale, energy_scale, size_scale, spread, time_scale
from fedtiny.reports.sweep_axes import value_label
from fedtiny.results.sweep import Combination, SweepResult, combinations

_COLUMNS: Final[tuple[tuple[str, str, Callable[[float], Scale]], ...]] = (
    ("accuracy", "final accuracy", lambda _: Scale(0.01, "%")),
    ("time_to_target", "time to target", time_scale),
    ("rounds", "rounds", lambda _: Scale(1.0, "")),
    ("virtual_time", "virtual time", time_scale),
    ("bytes_up", "up", size_scale),
    ("bytes_down", "down", size_scale),
    ("energy", "energy", energy_scale),
)


def cells_table(sweep: SweepResult) -> Table:
    """One row per combination; a column's unit is the same in all rows."""
    cells = combinations(sweep)
    scales = {column: _scale(cells, column, scale) for column, _, scale in _COLUMNS}
    headings = tuple(f"{title} ({scales[column].unit})" if scales[column].unit else title for column, title, _ in _COLUMNS)
    rows = tuple(
        (*map(value_label, cell.values), _status(cell), *(_entry(cell, column, scales[column], sweep.target_accuracy) for column in scales))
        for cell in cells
    )
    return Table((*sweep.axes, "status", *headings), rows, text_columns=len(sweep.axes) + 1)


def _scale(cells: list[Combination], column: str, scale: Callable[[float], Scale]) -> Scale:
    return scale(max((interval.mean for cell in cells if (interval := cell.interval(column)) is not None), default=0.0))


def _status(cell: Combination) -> str:
    done = sum(row["status"] == "done" for row in cell.rows)
    if done == len(cell.rows) or not done:
        return {"done": "done", "infeasible": "does not fit", "failed": "failed"}[cell.status]
    return f"{done} of {len(cell.rows)} seeds done"


def _entry(cell: Combination, column: str, scale: Scale, target: float | None) -> str:
    interval = cell.interval(column)
    if interval is None:
        return "never" if column == "time_to_target" and cell.status == "done" and target is not None else NONE
    half_width = None if interval.half_width is None else scale(interval.half_width)
    done = sum(row["status"] == "done" for row in cell.rows)
    return spread(scale(interval.mean), half_width) + ("" if interval.count == done else f" ({interval.count} of {done})")
