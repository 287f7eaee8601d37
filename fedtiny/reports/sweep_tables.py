"""The tables of a sweep: what every combination learnt and took, mean and 95 % interval over its seeds; every choice against its first."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from fedtiny.reports.blocks import Table
from fedtiny.reports.pairing import Pair, Pairing, pairings
from fedtiny.reports.quantities import NONE, Scale, energy_scale, number, seconds, size_scale, spread, time_scale
from fedtiny.reports.sweep_axes import value_label
from fedtiny.reports.wording import plural
from fedtiny.results.statistics import Interval
from fedtiny.results.sweep import Combination, SweepResult, combinations

_Column = tuple[str, str, Callable[[float], Scale]]
_LEARNT: Final[tuple[_Column, ...]] = (
    ("accuracy", "final accuracy", lambda _: Scale(0.01, "%")),
    ("mean_accuracy", "mean accuracy", lambda _: Scale(0.01, "%")),
    ("time_to_target", "time to target", time_scale),
    ("bytes_to_target", "bytes to target", size_scale),
    ("energy_to_target", "energy to target", energy_scale),
)
_SPENT: Final[tuple[_Column, ...]] = (
    ("rounds", "rounds", lambda _: Scale(1.0, "")),
    ("virtual_time", "virtual time", time_scale),
    ("bytes_up", "up", size_scale),
    ("bytes_down", "down", size_scale),
    ("energy", "energy", energy_scale),
    ("peak_memory", "peak memory", size_scale),
)


def learnt_table(sweep: SweepResult) -> Table:
    """What every combination learnt, and what it took to get to the target; a column's unit is the same in all rows."""
    horizon = max((row["virtual_time"] for row in sweep.cells.to_pylist() if row["status"] == "done"), default=0.0)
    cells = [_with_mean_accuracy(cell, horizon) for cell in combinations(sweep)]
    note = f"Mean accuracy: the area under the curve until {seconds(horizon)} of virtual time; runs that end sooner keep their last model."
    return _table(sweep, cells, _LEARNT, note if horizon else "")


def spent_table(sweep: SweepResult) -> Table:
    """What every combination took until its end."""
    return _table(sweep, combinations(sweep), _SPENT, "")


def _table(sweep: SweepResult, cells: Sequence[Combination], columns: Sequence[_Column], note: str) -> Table:
    scales = {column: _scale(cells, column, scale) for column, _, scale in columns}
    headings = tuple(f"{title} ({scales[column].unit})" if scales[column].unit else title for column, title, _ in columns)
    rows = tuple(
        (*map(value_label, cell.values), _status(cell), *(_entry(cell, column, scales[column], sweep.target_accuracy) for column in scales))
        for cell in cells
    )
    return Table((*sweep.axes, "status", *headings), rows, note, text_columns=len(sweep.axes) + 1)


def _with_mean_accuracy(cell: Combination, horizon: float) -> Combination:
    """The combination with the mean accuracy over virtual time, until `horizon` (s), of every seed in a column of its own."""
    return Combination(cell.values, tuple({**row, "mean_accuracy": _mean_accuracy(row, horizon)} for row in cell.rows))


def _mean_accuracy(row: Mapping[str, Any], horizon: float) -> float | None:
    area, last = row["area_under_curve"], row["accuracy"]
    return (area + last * (horizon - row["virtual_time"])) / horizon if horizon and area is not None and last is not None else None


def _scale(cells: Sequence[Combination], column: str, scale: Callable[[float], Scale]) -> Scale:
    return scale(max((interval.mean for cell in cells if (interval := cell.interval(column)) is not None), default=0.0))


def _status(cell: Combination) -> str:
    done = sum(row["status"] == "done" for row in cell.rows)
    if done == len(cell.rows) or not done:
        return {"done": "done", "infeasible": "does not fit", "failed": "failed"}[cell.status]
    return f"{done} of {len(cell.rows)} seeds done"


def _entry(cell: Combination, column: str, scale: Scale, target: float | None) -> str:
    interval = cell.interval(column)
    if interval is not None:
        return spread(scale(interval.mean), None if interval.half_width is None else scale(interval.half_width))
    if not cell.done or (column.endswith("_to_target") and target is None):
        return NONE
    known = len(cell.known(column))
    return f"{known} of {plural(len(cell.done), 'seed')}" if known else "never" if column.endswith("_to_target") else NONE


def paired_table(sweep: SweepResult) -> Table | None:
    """Every choice against its first value: one row for each pair of combinations of which both are done; None without one."""
    rows = [row for pairing in pairings(sweep) for row in _paired_rows(sweep, pairing)]
    if not rows:
        return None
    others = tuple(sweep.axes)
    note = "Paired by seed, with 95 % confidence intervals; those of times sooner, a geometric mean, are of the logarithms."
    return Table((*others, "against", "accuracy (points)", "times sooner", "from", "to", "seeds"), tuple(rows), note, len(others) + 1)


def _paired_rows(sweep: SweepResult, pairing: Pairing) -> Iterator[tuple[str, ...]]:
    for pair in pairing.pairs:
        if not pair.seeds:
            continue
        difference, gain = pair.difference("accuracy"), pair.times_sooner()
        points = NONE if difference is None else _points(difference)
        ends = (NONE, NONE) if gain is None else (number(gain.low), number(gain.high))
        sooner = number(gain.mean) if gain else _who_reached(pair) if sweep.target_accuracy is not None else NONE
        yield (*map(value_label, pair.other.values), value_label(pairing.first), points, sooner, *ends, str(len(pair.seeds)))


def _points(difference: Interval) -> str:
    mean = f"{100 * difference.mean:.1f}".replace("-", "\N{MINUS SIGN}")
    return mean if difference.half_width is None else f"{mean} ± {100 * difference.half_width:.1f}"


def _who_reached(pair: Pair) -> str:
    """How many seeds of each reached the target: "2 of 3 against 3"."""
    first, other = ({*cell.known("time_to_target")} & {*pair.seeds} for cell in (pair.first, pair.other))
    return f"{len(other)} of {len(pair.seeds)} against {len(first)}"
