"""Pairs of combinations that differ in one choice alone, compared seed by seed.

Every cell of a seed sees the same devices, data, latencies and dropouts, so what two cells of one seed share cancels in their difference
and their ratio. A choice is an axis whose values are not numbers, such as the strategy; its first value, as written, is what the others
are compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fedtiny.reports.sweep_axes import numeric_value
from fedtiny.results.statistics import Interval, Ratio, paired_difference, paired_ratio
from fedtiny.results.sweep import Combination, SweepResult, combinations


@dataclass(frozen=True)
class Pair:
    """A combination with the first value of a choice and one with another; `values` are those of the other axes, in their order."""

    values: tuple[str, ...]
    first: Combination
    other: Combination

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are done in both."""
        done = {row["seed"] for row in self.first.done}
        return tuple(row["seed"] for row in self.other.done if row["seed"] in done)

    def difference(self, column: str) -> Interval | None:
        """other - first; None unless all seeds that are done in both have a value."""
        values = self._paired(column)
        return None if values is None else paired_difference(*reversed(values))

    def times_sooner(self) -> Ratio | None:
        """Time to target of the first / that of the other; None unless all seeds that are done in both reach it, later than at once."""
        times = self._paired("time_to_target")
        return None if times is None or not min((*times[0].values(), *times[1].values())) > 0 else paired_ratio(*times)

    def _paired(self, column: str) -> tuple[dict[int, float], dict[int, float]] | None:
        first, other = ({seed: known[seed] for seed in self.seeds if seed in known} for known in self._known(column))
        return (first, other) if self.seeds and len(first) == len(other) == len(self.seeds) else None

    def _known(self, column: str) -> tuple[dict[int, float], dict[int, float]]:
        return self.first.known(column), self.other.known(column)


@dataclass(frozen=True)
class Pairing:
    """All pairs of one choice's first value with one of its others."""

    axis: str
    first: str
    other: str
    pairs: tuple[Pair, ...]


def choice_axes(sweep: SweepResult) -> list[str]:
    """The axes with at least two values of which one is no number."""
    return [axis for axis, values in sweep.axes.items() if len(values) > 1 and any(numeric_value(value) is None for value in values)]


def pairings(sweep: SweepResult) -> list[Pairing]:
    """For every choice and each of its further values, all pairs with the first value, in the order of the axes."""
    cells = combinations(sweep)
    return [
        Pairing(axis, first, other, pairs_of(sweep, cells, axis, first, other))
        for axis in choice_axes(sweep)
        for first, *others in [sweep.axes[axis]]
        for other in others
    ]


def pairs_of(sweep: SweepResult, cells: Sequence[Combination], axis: str, first: str, other: str) -> tuple[Pair, ...]:
    """The pairs of two values of an axis, in the order of the other axes."""
    place = list(sweep.axes).index(axis)
    found = {cell.values: cell for cell in cells}
    rest = [(values[:place], values[place + 1 :]) for values in found if values[place] == first]
    return tuple(
        Pair((*before, *after), found[(*before, first, *after)], found[(*before, other, *after)])
        for before, after in rest
        if (*before, other, *after) in found
    )
