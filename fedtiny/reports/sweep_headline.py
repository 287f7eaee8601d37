"""The sentences at the head of a sweep's report: how its cells ended, which is best, and what each choice was worth."""

from collections.abc import Iterator, Sequence

import numpy as np

from fedtiny.reports.pairing import choice_axes, pairs_of
from fedtiny.reports.quantities import number, percent, ratio, seconds
from fedtiny.reports.sweep_axes import named, value_label
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
    """For each choice: how much sooner its best value is than each other one, over all pairs of cells whose seeds all got there."""
    if sweep.target_accuracy is None:
        return
    for axis in choice_axes(sweep):
        first, *others = _best_first(sweep, cells, axis)
        parts = [text for other in others if (text := _compared(sweep, cells, axis, first, other))]
        if parts:
            yield f"{named(axis, first)} reached {percent(sweep.target_accuracy)} {listed(parts)}."


def _best_first(sweep: SweepResult, cells: Sequence[Combination], axis: str) -> list[str]:
    """The values of a choice, those first that are sooner than the others in the mean of their pairs."""
    values = list(sweep.axes[axis])
    gains = {value: [gain for other in values for gain in _logarithms(sweep, cells, axis, other, value)] for value in values}
    return sorted(values, key=lambda value: -float(np.mean(gains[value])) if gains[value] else np.inf)


def _compared(sweep: SweepResult, cells: Sequence[Combination], axis: str, first: str, other: str) -> str:
    """How much sooner the first is than the other, on average and from pair to pair; nothing without a pair."""
    gains = _logarithms(sweep, cells, axis, other, first)
    if not gains:
        return ""
    mean, low, high = (float(np.exp(value)) for value in (np.mean(gains), min(gains), max(gains)))
    apart = f", {number(low)} to {ratio(high)} from pair to pair" if number(low) != number(high) else ""
    return f"{sooner(mean, value_label(other))} (mean of {plural(len(gains), 'pair')}{apart})"


def _logarithms(sweep: SweepResult, cells: Sequence[Combination], axis: str, first: str, other: str) -> list[float]:
    """Logarithms of time(first) / time(other) of pairs of combinations, each a mean over paired seeds."""
    if first == other:
        return []
    gains = [pair.times_sooner() for pair in pairs_of(sweep, cells, axis, first, other)]
    return [float(np.log(gain.mean)) for gain in gains if gain is not None]


def _best_cell(sweep: SweepResult, cells: Sequence[Combination]) -> tuple[str, ...]:
    times = [(interval.mean, cell) for cell in cells if (interval := cell.interval("time_to_target")) is not None]
    if sweep.target_accuracy is not None and times:
        (mean, cell), (longest, last) = (pick(times, key=lambda pair: pair[0]) for pick in (min, max))
        slowest = f", {sooner(longest / mean, _named(sweep, last))}" if mean and last is not cell else ""
        best = f"The fastest to {percent(sweep.target_accuracy)} accuracy is {_named(sweep, cell)}, after {seconds(mean)} on average"
        return (f"{best}{slowest}.{_missing(cells)}",)
    if sweep.target_accuracy is not None and (seldom := _missing(cells)):
        return (
            f"No combination reached {percent(sweep.target_accuracy)} accuracy with all of its seeds.{seldom}",
            *_most_accurate(sweep, cells),
        )
    return _most_accurate(sweep, cells)


def _missing(cells: Sequence[Combination]) -> str:
    """How many combinations did not reach the target, with some of their seeds or with any."""
    done = [cell for cell in cells if cell.done and cell.interval("time_to_target") is None]
    seldom = sum(bool(cell.known("time_to_target")) for cell in done)
    never = len(done) - seldom
    some = f" {plural(seldom, 'combination')} got there with some of the seeds only." if seldom else ""
    return some + (f" {plural(never, 'combination')} never got there." if never else "")


def _most_accurate(sweep: SweepResult, cells: Sequence[Combination]) -> tuple[str, ...]:
    accuracies_of = [(interval.mean, cell) for cell in cells if (interval := cell.interval("accuracy")) is not None]
    if not accuracies_of:
        return ()
    mean, cell = max(accuracies_of, key=lambda pair: pair[0])
    return (f"The most accurate is {_named(sweep, cell)}, with {percent(mean)} on average.",)


def _named(sweep: SweepResult, cell: Combination) -> str:
    return ", ".join(named(axis, value) for axis, value in zip(sweep.axes, cell.values, strict=True))
