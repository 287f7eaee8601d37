"""Where a search looks: the combinations of a sweep's axes, which may be too many to list, made into cells as they are asked for.

An axis of numbers or quantities is ordered, so that what comes of one value says something about its neighbours: a range is searched
on its own values, as a sweep would cross them, so that every trial is a cell like any other. Values of any other axis are choices.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from fedtiny.errors import ScenarioError
from fedtiny.reports.sweep_axes import numeric_value
from fedtiny.scenario.tree import Tree
from fedtiny.sweeps.axes import Axis, Cell, Step, Sweep, cell_of, said_last, seeds_from, sweep_of
from fedtiny.sweeps.proposals import Dimension, Place

_MOST_SAMPLES: Final = 64


@dataclass(frozen=True)
class SearchSpace:
    """The axes around a base scenario, and how many seeds each combination runs with; `folder` is where the scenario's file is."""

    base: Tree
    folder: Path
    axes: tuple[Axis, ...]
    seeds: int = 1

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """The axes, as they are searched."""
        return tuple(map(_dimension, self.axes))

    @cached_property
    def first(self) -> Cell:
        """The first of its cells, which says the name of them all and the seed to begin with."""
        return self.cells(tuple(0 for _ in self.axes))[0]

    @property
    def name(self) -> str:
        """The name of the scenario."""
        return self.first.scenario.name

    @property
    def combinations(self) -> int:
        """How many there are."""
        return math.prod(len(axis.values) for axis in self.axes)

    def cells(self, place: Place) -> list[Cell]:
        """The cells of a combination, one for each seed. Raises ScenarioError where it is no scenario."""
        steps = [steps[chosen] for steps, chosen in zip(self._steps, place, strict=True)]
        return [cell_of(self.base, self.folder, self.axes, steps, seed) for seed in seeds_from(self.base, self.seeds)]

    def sweep(self, cells: Sequence[Cell]) -> Sweep:
        """Some of its cells. Raises ScenarioError where two of them say the same in the same words."""
        return sweep_of(self.base, self.axes, cells)

    def samples(self) -> list[Place]:
        """Combinations to look at before any is tried: of all choices and of the ends of what is ordered, if there are not too many;
        else each of these values once, in the company of the first ones."""
        ends = [one.places[:: max(1, len(one.places) - 1)] if one.is_ordered else one.places for one in self.dimensions]
        if math.prod(map(len, ends)) <= _MOST_SAMPLES:
            return list(itertools.product(*ends))
        first = tuple(places[0] for places in ends)
        return list(dict.fromkeys((*first[:axis], value, *first[axis + 1 :]) for axis, places in enumerate(ends) for value in places))

    @cached_property
    def _steps(self) -> list[list[Step]]:
        return [axis.steps for axis in self.axes]


def search_space(base: Tree, folder: Path, axes: Sequence[Axis], seeds: int = 1) -> SearchSpace:
    """The space of these axes, of which one that is named twice counts as it was said last. Raises ScenarioError where there is none."""
    if not axes:
        raise ScenarioError("--optimize has nothing to choose: name what may change, such as --axis network.latency='1 ms..5 s:7:log'")
    return SearchSpace(base, folder, said_last(axes), seeds)


def _dimension(axis: Axis) -> Dimension:
    numbers = [numeric_value(label) for label in axis.labels]
    known = [number for number in numbers if number is not None]
    if len(known) < len(numbers):
        return Dimension(axis.key, tuple(range(len(numbers))), is_ordered=False)
    return Dimension(axis.key, tuple(sorted(range(len(known)), key=known.__getitem__)), is_ordered=True)
