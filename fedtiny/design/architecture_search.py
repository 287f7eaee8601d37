"""Which network of which space: the two stages of TinyNAS.

**The space.** A space has one width multiplier and one resolution. Of each, networks are drawn at random; those that the devices can take
count. The space whose fitting networks have the most multiply-accumulates on average is searched: what fits and computes more learns more
(published: 108 spaces, 1000 networks each, no training). A space of which nothing fits is left out.

**The network.** Evolution on the accuracy of networks with the weights of the trained supernet: the best quarter are parents, and a
generation is they and as many children as the population, half of them mutated (every choice changes with probability 0.1, the resolution
0.5) and half crossed (every choice from either parent). A child that does not fit is drawn again, so that every individual of every
generation keeps every bound. Random search with as many evaluations is what evolution has to beat.

Sources: Lin, Chen, Lin, Cohn, Gan, Han: MCUNet. NeurIPS 2020, arXiv 2007.10319, sections 3.1 and 3.2 and supplement; Cai et al.:
Once-for-All. ICLR 2020, arXiv 1908.09791, released search. Populations here are smaller (published: 100, for 30 and 500 generations).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from fedtiny.design.architecture_constraints import Constraints, Costs
from fedtiny.errors import InfeasibleError
from fedtiny.models.elastic_space import ElasticSpace, SubNetwork, encode, random_block, random_subnetwork, smallest
from fedtiny.parts import Part

Score = Callable[[SubNetwork], float]
"""How good a network is, from 0 to 1; higher is better."""
Progress = Callable[[int, int], None]
"""(networks looked at, in all, at most) -> None."""
Share = Annotated[float, Field(ge=0, le=1)]

_FEWEST_PARENTS: Final = 2
_MOST_REPEATED: Final = 100
"""Draws of a network that was not evaluated before, after which a space counts as known."""


class Evolution(Part):
    """How many networks evolution looks at, and how it makes new ones of old ones."""

    population: Annotated[int, Field(ge=2)] = 32
    """Networks of the first generation, and children of each later one."""
    generations: Annotated[int, Field(ge=0)] = 10
    """Generations after the first."""
    parents: Share = 0.25
    """The best of a population, as a share of it, that have children and live on."""
    mutated: Share = 0.5
    """The share of the children that are mutated; the others are crossed."""
    gene_mutation: Share = 0.1
    """The probability that a depth, or a block's kernel and expansion, changes."""
    resolution_mutation: Share = 0.5
    """The probability that the resolution changes."""
    fresh_draws: Annotated[int, Field(ge=0)] = 0
    """How often a child that was evaluated before is drawn again, in the hope of a new one; 0: never, as published."""


@dataclass(frozen=True)
class Individual:
    """A network that was evaluated."""

    network: SubNetwork
    score: float
    costs: Costs


@dataclass(frozen=True)
class Searched:
    """What a search looked at."""

    generations: tuple[tuple[Individual, ...], ...]
    evaluated: tuple[Individual, ...]
    """Every network once, in the order of their evaluations."""

    @property
    def best(self) -> Individual:
        """The one with the highest score; of equals the one that was found first."""
        return max(self.evaluated, key=lambda one: one.score)


@dataclass(frozen=True)
class SpaceSample:
    """What networks drawn from a space are like."""

    width: float
    resolution: int
    drawn: int
    feasible: int
    mean_macs: float | None
    """Of those that fit; None where nothing does."""


@dataclass
class _Jury:
    """Evaluates each network once."""

    constraints: Constraints
    score: Score
    total: int
    progress: Progress | None
    known: dict[SubNetwork, Individual] = field(default_factory=dict)

    def judge(self, network: SubNetwork) -> Individual:
        if network not in self.known:
            self.known[network] = Individual(network, self.score(network), self.constraints.costs(network))
            if self.progress is not None:
                self.progress(len(self.known), self.total)
        return self.known[network]


def sample_space(constraints: Constraints, width: float, samples: int, generator: np.random.Generator) -> SpaceSample:
    """Draws networks of a space with one resolution and says how much those compute that fit."""
    space = constraints.space
    drawn = [random_subnetwork(space, generator) for _ in range(samples)]
    macs = [constraints.costs(network).macs for network in drawn if constraints.met(network)]
    return SpaceSample(width, space.resolutions[-1], samples, len(macs), sum(macs) / len(macs) if macs else None)


def choose_space(samples: Sequence[SpaceSample], spaces: Sequence[Constraints]) -> int:
    """The place of the space whose fitting networks compute most on average.

    Raises InfeasibleError where no network that was drawn fits, saying what the smallest network of all needs too much.
    """
    found = [place for place, sample in enumerate(samples) if sample.mean_macs is not None]
    if not found:
        least = min(spaces, key=lambda one: one.costs(smallest(one.space)).macs)
        least.require_possible()
        raise InfeasibleError(
            f"none of {sum(sample.drawn for sample in samples)} networks drawn from {len(samples)} spaces fits, although the smallest of "
            "all does: add smaller widths or resolutions, or draw more samples",
            ("design",),
        )
    return max(found, key=lambda place: samples[place].mean_macs or 0.0)


def evolve(
    constraints: Constraints, score: Score, settings: Evolution, generator: np.random.Generator, progress: Progress | None = None
) -> Searched:
    """Evolution within all bounds. Raises InfeasibleError where no network of the space keeps them."""
    constraints.require_possible()
    space, size = constraints.space, settings.population
    jury = _Jury(constraints, score, size * (1 + settings.generations), progress)
    people = [jury.judge(constraints.fitting(lambda: random_subnetwork(space, generator), generator)) for _ in range(size)]
    generations = [tuple(people)]
    for _ in range(settings.generations):
        ranked = sorted({one.network: one for one in people}.values(), key=lambda one: (-one.score, encode(space, one.network)))
        parents = [one.network for one in ranked[: max(_FEWEST_PARENTS, ceil(settings.parents * size))]]
        children = []
        for place in range(size):
            child = _child(constraints, parents, settings, generator, mutated=place < settings.mutated * size)
            for _ in range(settings.fresh_draws):
                if child not in jury.known and child not in children:
                    break
                child = _child(constraints, parents, settings, generator, mutated=place < settings.mutated * size)
            children.append(child)
        people = [jury.judge(network) for network in (*parents, *children)]
        generations.append(tuple(people))
    return Searched(tuple(generations), tuple(jury.known.values()))


def random_search(
    constraints: Constraints, score: Score, evaluations: int, generator: np.random.Generator, progress: Progress | None = None
) -> Searched:
    """So many different networks at random, within all bounds; fewer where the space has no more of them."""
    constraints.require_possible()
    jury = _Jury(constraints, score, evaluations, progress)
    repeated = 0
    while len(jury.known) < evaluations and repeated < _MOST_REPEATED:
        before = len(jury.known)
        jury.judge(constraints.fitting(lambda: random_subnetwork(constraints.space, generator), generator))
        repeated = 0 if len(jury.known) > before else repeated + 1
    everyone = tuple(jury.known.values())
    return Searched((everyone,), everyone)


def _child(
    constraints: Constraints, parents: Sequence[SubNetwork], settings: Evolution, generator: np.random.Generator, *, mutated: bool
) -> SubNetwork:
    def pick() -> SubNetwork:
        return parents[int(generator.integers(len(parents)))]

    def draw() -> SubNetwork:
        if mutated:
            return mutate(constraints.space, pick(), settings, generator)
        return cross(pick(), pick(), generator)

    return constraints.fitting(draw, generator)


def mutate(space: ElasticSpace, network: SubNetwork, settings: Evolution, generator: np.random.Generator) -> SubNetwork:
    """The network with some choices made anew; blocks that a stage gains are drawn at random."""
    changes = generator.random() < settings.resolution_mutation
    resolution = int(generator.choice(space.resolutions)) if changes else network.resolution

    def anew(choices: Sequence[int], now: int) -> int:
        return int(generator.choice(choices)) if generator.random() < settings.gene_mutation else now

    stages = []
    for stage in network.stages:
        depth = anew(space.depths, len(stage))
        kept = [(anew(space.kernels, kernel), anew(space.expansions, expansion)) for kernel, expansion in stage[:depth]]
        stages.append((*kept, *(random_block(space, generator) for _ in range(depth - len(stage)))))
    return SubNetwork(resolution, tuple(stages))


def cross(first: SubNetwork, second: SubNetwork, generator: np.random.Generator) -> SubNetwork:
    """Every choice from either parent; a block that only one of them has is that one's."""

    def either(left: int, right: int) -> int:
        return left if generator.random() < 0.5 else right

    stages = []
    for own, other in zip(first.stages, second.stages, strict=True):
        blocks = []
        for place in range(either(len(own), len(other))):
            here = [stage[place] for stage in (own, other) if place < len(stage)]
            blocks.append((either(here[0][0], here[-1][0]), either(here[0][1], here[-1][1])))
        stages.append(tuple(blocks))
    return SubNetwork(either(first.resolution, second.resolution), tuple(stages))
