"""Which choice is best at each place of a sweep: at each combination of two axes, the values of all other axes that do best there."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedtiny.reports.pairing import Pair
from fedtiny.reports.sweep_axes import Layout, value_label
from fedtiny.results.statistics import Ratio
from fedtiny.results.sweep import Combination, SweepResult, combinations


@dataclass(frozen=True)
class Place:
    """The combinations at one place of the two axes, each under the name of its choice, in the order of the axes' values."""

    values: Mapping[str, str]
    choices: tuple[tuple[str, Combination], ...]

    @property
    def ranked(self) -> list[tuple[str, Combination]]:
        """The choices with which every seed reached the target, the soonest on average first."""
        reached = [(interval.mean, name, cell) for name, cell in self.choices if (interval := cell.interval("time_to_target"))]
        return [(name, cell) for _, name, cell in sorted(reached, key=lambda one: one[0])]

    @property
    def lead(self) -> Ratio | None:
        """How many times sooner the best one is than the second, paired by seed; None where nothing is second."""
        ranked = self.ranked
        return Pair((), ranked[1][1], ranked[0][1]).times_sooner() if len(ranked) > 1 else None


def places_of(sweep: SweepResult, layout: Layout) -> list[Place]:
    """Every place of the layout's two axes, with all combinations of the further ones."""
    keys = list(sweep.axes)
    found: dict[tuple[str, ...], list[tuple[str, Combination]]] = {}
    placed = [axis for axis in (layout.across, layout.up) if axis]
    for cell in combinations(sweep):
        values = dict(zip(keys, cell.values, strict=True))
        name = " · ".join(value_label(values[axis]) for axis in layout.others)
        found.setdefault(tuple(values[axis] for axis in placed), []).append((name, cell))
    return [Place(dict(zip(placed, at, strict=True)), tuple(choices)) for at, choices in found.items()]
