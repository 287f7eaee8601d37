"""The sentences at the head of a sweep's report: how its cells ended, which is best, and what each choice was worth."""

from collections.abc import Iterator, Sequence

import numpy as np

from fedtiny.reports.quantities import percent, seconds
from fedtiny.reports.sweep_axes import numeric_value, value_label
from fedtiny.reports.wording import listed, plural, sooner
from fedtiny.results.sweep import Combination, SweepResult, combinations


def sweep_headline(sweep: SweepResult) -> tuple[str, ...]:
    """How many cells there are and how they ended, the best combination, and how much sooner one choice is than another."""
    cells = combinations(sweep)
    states = [cell.status for cell in cells] if sweep.axes else sweep.cells["status"].to_pylist()
    words = {"done": "done", "infeasible": f"not fitting the memory{_where_it_never_fits(sweep, cells)}", "failed": "failed"}
    ended = ", ".join(f"{states.count(status)} {word}" for status, word in words.items() if status in states)
    if not sweep.axes:
        return (f"One scenario with {plural(len(sweep.seeds), 'seed')}: {ended}.",)
    counted = f"{plural(len(cells), 'combination')} of {listed(list(sweep.axes))}, {plural(len(sweep.seeds), 'seed')} each: {ended}."
    return (*_choices(sweep, cells), *_best_cell(sweep, cells), counted)


def _where_it_never_fits(sweep: SweepResult, cells: Sequence[Combination]) -> str:
    """The values of axes with which training fits in no combination."""
    found = []
    for place, axis in enumerate(sweep.axes):
        states = {value: {cell.status for cell in cells if cell.values[place] == value} for value in sweep.axes[axis]}
        never = [value_label(value) for value, its in states.items() if its == {"infeasible"}]
        found += [f"{axis} {listed(never)}"] if never and len(never) < len(states) else []
    return f" ({listed(found)})" if found else ""


def _choices(sweep: SweepResult, cells: Sequence[Combination]) -> Iterator[str]:
    """For each axis of choices (not of numbers): how much sooner its best value is than each other one, over all pairs of cells."""
    if sweep.target_accuracy is None:
        return
    for place, axis in enumerate(sweep.axes):
        values = sweep.axes[axis]
        if len(values) < 2 or any(numeric_value(value) is not None for value in values):
            continue
        first, *others = sorted(values, key=lambda value: _mean_logarithm(cells, place, value))
        pairs = [(other, found) for other in others if (found := _pairs(cells, place, first, other))]
        parts = [
            f"{sooner(float(np.exp(np.mean(found))), value_label(other))} (mean of {plural(len(found), 'pair')})" for other, found in pairs
        ]
        if parts:
            yield f"{axis} {value_label(first)} reached {percent(sweep.target_accuracy)} {listed(parts)}."


def _mean_logarithm(cells: Sequence[Combination], place: int, value: str) -> float:
    """Of the times to target of a value's cells; never counts as later than anything."""
    times = [interval.mean for cell in cells if cell.values[place] == value and (interval := cell.interval("time_to_target"))]
    return float(np.mean(np.log(times))) if times and min(times) > 0 else np.inf


def _pairs(cells: Sequence[Combination], place: int, first: str, other: str) -> list[float]:
    """Logarithms of time(other) / time(first) of cells that are alike in all other axes and both reached the target."""
    times = {cell.values: interval.mean for cell in cells if (interval := cell.interval("time_to_target")) and interval.mean > 0}
    mine = [values for values in times if values[place] == first]
    swapped = [(values, (*values[:place], other, *values[place + 1 :])) for values in mine]
    return [float(np.log(times[theirs] / times[values])) for values, theirs in swapped if theirs in times]


def _best_cell(sweep: SweepResult, cells: Sequence[Combination]) -> tuple[str, ...]:
    times = [(interval.mean, cell) for cell in cells if (interval := cell.interval("time_to_target")) is not None]
    if sweep.target_accuracy is not None and times:
        (mean, cell), (longest, last) = (pick(times, key=lambda pair: pair[0]) for pick in (min, max))
        slowest = f", {sooner(longest / mean, _named(sweep, last))}" if mean and last is not cell else ""
        never = sum(cell.status == "done" for cell in cells) - len(times)
        missing = f" {plural(never, 'combination')} never got there." if never else ""
        best = f"The fastest to {percent(sweep.target_accuracy)} accuracy is {_named(sweep, cell)}, after {seconds(mean)} on average"
        return (f"{best}{slowest}.{missing}",)
    accuracies_of = [(interval.mean, cell) for cell in cells if (interval := cell.interval("accuracy")) is not None]
    if not accuracies_of:
        return ()
    mean, cell = max(accuracies_of, key=lambda pair: pair[0])
    return (f"The most accurate is {_named(sweep, cell)}, with {percent(mean)} on average.",)


def _named(sweep: SweepResult, cell: Combination) -> str:
    return ", ".join(f"{axis} {value_label(value)}" for axis, value in zip(sweep.axes, cell.values, strict=True))
