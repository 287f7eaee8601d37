"""What a network may take of the devices that it is for: bounds, and what a network of a space needs of each of them.

A bound holds where what is needed is at most what is allowed; which needs there are (bytes of training, seconds of a step, ...) is the
caller's business. A network that no device can take is never trained: where not even the smallest of a space is within every bound, that
is an error that says by how much.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np

from fedtiny.design.automatic import size_text
from fedtiny.errors import InfeasibleError
from fedtiny.models.elastic_space import ElasticSpace, SubNetwork, smallest

_DRAWS: Final = 50
"""Draws before a network that does not fit is made smaller instead."""

Unit = Literal["B", "s", "J"]
Draw = Callable[[], SubNetwork]


@dataclass(frozen=True)
class Bound:
    """What a need may be at most."""

    name: str
    """What is bounded and where, such as "training memory on stm32f746"."""
    most: float
    unit: Unit
    remedy: str
    """What to change where nothing fits."""

    def text(self, amount: float) -> str:
        """An amount with its unit."""
        return size_text(amount) if self.unit == "B" else f"{amount:.4g} {self.unit}"


@dataclass(frozen=True)
class Costs:
    """What one network takes."""

    macs: int
    """Multiply-accumulates of one forward pass of one sample."""
    parameters: int
    needs: Mapping[str, float]
    """By the name of the bound, in its unit."""


@dataclass
class Constraints:
    """The bounds of a space's networks; each network is looked at once."""

    space: ElasticSpace
    bounds: tuple[Bound, ...]
    price: Callable[[SubNetwork], Costs]
    _known: dict[SubNetwork, Costs] = field(default_factory=dict, repr=False)

    def costs(self, network: SubNetwork) -> Costs:
        """What a network takes."""
        if network not in self._known:
            self._known[network] = self.price(network)
        return self._known[network]

    def broken(self, network: SubNetwork) -> list[Bound]:
        """The bounds that a network does not keep."""
        needs = self.costs(network).needs
        return [bound for bound in self.bounds if needs[bound.name] > bound.most]

    def met(self, network: SubNetwork) -> bool:
        """Whether it keeps all of them."""
        return not self.broken(network)

    def excess(self, network: SubNetwork) -> str:
        """Which bounds a network does not keep and by how much, in words, with what to do; nothing where it keeps all."""
        return "; ".join(self._excess(bound, self.costs(network).needs[bound.name]) for bound in self.broken(network))

    def require_possible(self) -> None:
        """Raises InfeasibleError where not even the smallest network keeps all bounds."""
        least = smallest(self.space)
        if not self.met(least):
            raise InfeasibleError(f"no network of the search space fits: its smallest breaks {self.excess(least)}", ("design",))

    def fitting(self, draw: Draw, generator: np.random.Generator) -> SubNetwork:
        """The first of fifty draws that keeps all bounds; else the last of them, made smaller in one choice at a time, taken at random.

        Raises InfeasibleError where even the smallest network breaks a bound: it always ends (the released search draws for ever).
        """
        for _ in range(_DRAWS):
            network = draw()
            if self.met(network):
                return network
        while not self.met(network):
            ways = smaller_ones(self.space, network)
            if not ways:
                self.require_possible()
            network = ways[int(generator.integers(len(ways)))]
        return network

    @staticmethod
    def _excess(bound: Bound, needed: float) -> str:
        needs, allowed, over = (bound.text(amount) for amount in (needed, bound.most, needed - bound.most))
        return f"{bound.name}: it needs {needs} and {allowed} are allowed, {over} too much ({bound.remedy})"


def smaller_ones(space: ElasticSpace, network: SubNetwork) -> list[SubNetwork]:
    """The networks that are the next smaller ones in one choice."""
    at = space.resolutions.index(network.resolution)
    found = [SubNetwork(space.resolutions[at - 1], network.stages)] if at else []
    for place, stage in enumerate(network.stages):
        before, after = network.stages[:place], network.stages[place + 1 :]
        found += [SubNetwork(network.resolution, (*before, less, *after)) for less in _smaller_stages(space, stage)]
    return found


def _smaller_stages(space: ElasticSpace, stage: tuple[tuple[int, int], ...]) -> list[tuple[tuple[int, int], ...]]:
    shallower = [depth for depth in space.depths if depth < len(stage)]
    found = [stage[: shallower[-1]]] if shallower else []
    for place, (kernel, expansion) in enumerate(stage):
        less = [(size, expansion) for size in _below(space.kernels, kernel)] + [
            (kernel, size) for size in _below(space.expansions, expansion)
        ]
        found += [(*stage[:place], one, *stage[place + 1 :]) for one in less]
    return found


def _below(choices: Sequence[int], now: int) -> list[int]:
    """The next smaller choice, where there is one."""
    return [choice for choice in choices if choice < now][-1:]
