"""Scheme search: the sparse update that promises the largest gain in accuracy within a memory budget.

A scheme (k, I, R) trains the biases of the last k convolutions, and of each layer i in I, one of those k, the weights on a share
r_i of its input channels. With measured contributions (`contribution.py`) the search solves

    maximise  gain_b(k) + sum_i gain_W(i, r_i)     subject to  memory(k, I, R) <= budget

(Lin, Zhu, Chen, Wang, Gan, Han: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv 2206.15472, section 2.2). That gains
add up is the paper's approximation. Two solvers:

- `evolve`: evolutionary search with elitism, as in the paper, for any memory function; its population, mutation and number of
  generations are ours, for the paper does not give its own.
- `solve`: exact, where memory adds up over layers too, as the extra memory of that paper does. For every depth it is a
  multiple-choice knapsack; layers are added one by one, and of all partial schemes only those remain that no other beats in
  both memory and gain. The twin of `evolve` in the tests, and quick enough for the networks of the paper.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import numpy as np

from fedtiny.errors import InfeasibleError

_POPULATION: Final = 100
_PARENTS: Final = 25
_MUTATION: Final = 0.1
_DRAWS: Final = 50
_MOST_STATES: Final = 2_000_000

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Scheme:
    """The biases of the last `biases` convolutions, and layer -> share of its input channels whose weights train."""

    biases: int
    weights: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contributions:
    """Measured gains in accuracy (shares of examples, so 0.01 is one point)."""

    convolutions: int
    """How many convolutions the network has; layer n - k is the first of the last k."""
    biases: Mapping[int, float]
    """Depth k -> gain of training the biases of the last k convolutions over the classifier alone; k = 0 is 0."""
    weights: Mapping[int, Mapping[float, float]]
    """Layer -> share of its input channels -> gain of training them, over biases alone."""

    def gain(self, scheme: Scheme) -> float:
        """The sum of the contributions of a scheme's parts."""
        return self.biases[scheme.biases] + sum(self.weights[layer][share] for layer, share in scheme.weights.items())

    def layers(self, depth: int) -> list[int]:
        """The measured layers among the last `depth` convolutions."""
        return [layer for layer in sorted(self.weights) if layer >= self.convolutions - depth]


MemoryOf = Callable[[Scheme], int]
"""Bytes, or any other unit that the budget is in."""


@dataclass(frozen=True)
class Found:
    """The best scheme that a search found."""

    scheme: Scheme
    gain: float
    memory: int
    history: tuple[float, ...] = ()
    """The best gain after every generation; empty for the exact solver."""


def evolve(
    contributions: Contributions,
    memory: MemoryOf,
    budget: int,
    generator: np.random.Generator,
    *,
    generations: int = 60,
    population: int = _POPULATION,
) -> Found:
    """The best scheme of an evolutionary search; every individual of every generation fits the budget.

    Raises InfeasibleError where not even the classifier alone does.
    """
    evolution = _Evolution(contributions, memory, budget, generator)
    people = evolution.first(population)
    history = []
    for _ in range(generations):
        people.sort(key=contributions.gain, reverse=True)
        parents = people[: max(2, population * _PARENTS // _POPULATION)]
        people = parents + [evolution.child(parents) for _ in range(population - len(parents))]
        history.append(max(map(contributions.gain, people)))
    best = max(people, key=contributions.gain)
    return Found(best, contributions.gain(best), memory(best), tuple(history))


class _Evolution:
    """Draws schemes that fit."""

    def __init__(self, contributions: Contributions, memory: MemoryOf, budget: int, generator: np.random.Generator) -> None:
        self.contributions, self.memory, self.budget, self.generator = contributions, memory, budget, generator
        self.depths = [depth for depth in sorted(contributions.biases) if memory(Scheme(depth)) <= budget]
        if not self.depths:
            raise _does_not_fit(memory, budget, min(contributions.biases))

    def first(self, count: int) -> list[Scheme]:
        return [self._fitting(self._random()) for _ in range(count)]

    def child(self, parents: list[Scheme]) -> Scheme:
        first, second = (parents[index] for index in self.generator.integers(len(parents), size=2))
        for _ in range(_DRAWS):
            mixed = self._mutated(self._crossed(first, second))
            if self.memory(mixed) <= self.budget:
                return mixed
        return self._fitting(mixed)

    def _random(self) -> Scheme:
        depth = self._pick(self.depths)
        weights = {}
        for layer in self.contributions.layers(depth):
            share = self._share(layer)
            if share:
                weights[layer] = share
        return Scheme(depth, weights)

    def _fitting(self, scheme: Scheme) -> Scheme:
        """The scheme without as many of its layers, taken away at random, as it takes to fit."""
        weights = dict(scheme.weights)
        while self.memory(Scheme(scheme.biases, weights)) > self.budget:
            del weights[self._pick(sorted(weights))]
        return Scheme(scheme.biases, weights)

    def _crossed(self, first: Scheme, second: Scheme) -> Scheme:
        depth = (first if self.generator.random() < 0.5 else second).biases
        weights = {}
        for layer in self.contributions.layers(depth):
            share = (first if self.generator.random() < 0.5 else second).weights.get(layer)
            if share is not None:
                weights[layer] = share
        return Scheme(depth, weights)

    def _mutated(self, scheme: Scheme) -> Scheme:
        depth = self._pick(self.depths) if self.generator.random() < _MUTATION else scheme.biases
        weights = {layer: share for layer, share in scheme.weights.items() if layer in self.contributions.layers(depth)}
        for layer in self.contributions.layers(depth):
            if self.generator.random() < _MUTATION:
                weights.pop(layer, None)
                share = self._share(layer)
                if share:
                    weights[layer] = share
        return Scheme(depth, dict(sorted(weights.items())))

    def _share(self, layer: int) -> float:
        return self._pick([0.0, *sorted(self.contributions.weights[layer])])

    def _pick(self, choices: Sequence[Number]) -> Number:
        return choices[int(self.generator.integers(len(choices)))]


@dataclass(frozen=True)
class _State:
    """A partial scheme: what it takes and promises, and how it came about."""

    memory: int
    gain: float
    weights: tuple[tuple[int, float], ...]


def solve(contributions: Contributions, memory: MemoryOf, budget: int) -> Found:
    """The best scheme there is, where memory adds up over the layers of a scheme.

    Raises InfeasibleError where not even the classifier alone fits the budget, and ValueError where memory does not add up, or
    where more than two million partial schemes would have to be kept.
    """
    best: Found | None = None
    for depth in sorted(contributions.biases):
        base = memory(Scheme(depth))
        if base > budget:
            continue
        state = _best_of_depth(contributions, memory, budget, depth, base)
        gain = contributions.biases[depth] + state.gain
        if best is None or gain > best.gain:
            best = Found(Scheme(depth, dict(state.weights)), gain, state.memory)
    if best is None:
        raise _does_not_fit(memory, budget, min(contributions.biases))
    return best


def _best_of_depth(contributions: Contributions, memory: MemoryOf, budget: int, depth: int, base: int) -> _State:
    _check_sum(contributions, memory, depth, base)
    states = [_State(base, 0.0, ())]
    for layer in contributions.layers(depth):
        grown = list(states)
        for share, gain in contributions.weights[layer].items():
            cost = memory(Scheme(depth, {layer: share})) - base
            grown += [
                _State(state.memory + cost, state.gain + gain, (*state.weights, (layer, share)))
                for state in states
                if state.memory + cost <= budget
            ]
        states = _undominated(grown)
        if len(states) > _MOST_STATES:
            raise ValueError(f"more than {_MOST_STATES} partial schemes: measure fewer layers or shares, or use `evolve`")
    return max(states, key=lambda state: state.gain)


def _check_sum(contributions: Contributions, memory: MemoryOf, depth: int, base: int) -> None:
    largest = {layer: max(contributions.weights[layer]) for layer in contributions.layers(depth)}
    parts = sum(memory(Scheme(depth, {layer: share})) - base for layer, share in largest.items())
    if memory(Scheme(depth, largest)) != base + parts:
        raise ValueError("memory does not add up over layers: use `evolve`, which takes any memory function")


def _undominated(states: list[_State]) -> list[_State]:
    kept: list[_State] = []
    for state in sorted(states, key=lambda one: (one.memory, -one.gain)):
        if not kept or state.gain > kept[-1].gain:
            kept.append(state)
    return kept


def _does_not_fit(memory: MemoryOf, budget: int, depth: int) -> InfeasibleError:
    return InfeasibleError(
        f"the smallest scheme, biases of the last {depth} convolutions and the classifier, takes {memory(Scheme(depth))} B and the "
        f"budget is {budget} B: raise the budget or take a smaller model, input or batch"
    )
