"""A space of mobile architectures that share one shape and differ in depth, kernels, expansions and resolution (Once-for-All, TinyNAS).

A stage holds so many blocks (its depth), and every block has a depthwise kernel and an expansion of its own. With K kernels, E expansions
and R resolutions, the number of different networks is

    R * product over the stages of  sum over the depths d of (K E)^d            7371^5 = 2.18e19 for five stages of 2 to 4 blocks, K = E = 3

and each of them has a number from 0 up: `encode` and `decode` are a bijection. Widths are the same in the whole space; spaces with other
widths come from `scaled`.

Sources: Cai, Gan, Wang, Zhang, Han: Once-for-All: Train One Network and Specialize it for Efficient Deployment. ICLR 2020, arXiv
1908.09791. Lin, Chen, Lin, Cohn, Gan, Han: MCUNet: Tiny Deep Learning on IoT Devices. NeurIPS 2020, arXiv 2007.10319, section 3.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, Field, Strict

from fedtiny.models.mobile_architecture import BlockShape, MobileArchitecture, Stem, block, multiple_of_eight
from fedtiny.parts import Part


def _sorted_once(values: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(values)) != len(values):
        raise ValueError(f"each choice once, found {list(values)}")
    return tuple(sorted(values))


def _odd(values: tuple[int, ...]) -> tuple[int, ...]:
    if any(value % 2 == 0 for value in values):
        raise ValueError(f"kernels are odd, so that a smaller one lies in the middle of a larger one, found {list(values)}")
    return values


Count = Annotated[int, Field(gt=0, le=4096)]
Choices = Annotated[tuple[Count, ...], Strict(False), Field(min_length=1, max_length=16), AfterValidator(_sorted_once)]
Kernels = Annotated[Choices, AfterValidator(_odd)]


class ElasticStage(Part):
    """Blocks of one width; the first of them has the stride."""

    channels: Count
    """Channels of each block's output, rounded to multiples of 8."""
    stride: Annotated[int, Field(gt=0, le=4)] = 2
    """The stride of the stage's first block; the others have 1."""


class ElasticSpace(Part):
    """What all networks of a space have in common, and what they choose from."""

    stem: Count = 16
    """Channels of the first convolution, 3x3."""
    stem_stride: Annotated[int, Field(gt=0, le=4)] = 1
    """Its stride."""
    first_block: Count | None = None
    """Channels of a block without expansion, 3x3, behind the stem; left out: there is none."""
    stages: Annotated[tuple[ElasticStage, ...], Strict(False), Field(min_length=1, max_length=12)]
    """The stages in their order."""
    depths: Choices = (2, 3, 4)
    """Blocks in a stage."""
    kernels: Kernels = (3, 5, 7)
    """Depthwise kernels of a block."""
    expansions: Choices = (3, 4, 6)
    """How many times as many channels are inside a block as come in."""
    resolutions: Choices
    """Pixels a side of the images."""
    feature_mix: Count | None = None
    """Channels of a 1x1 convolution before the head; left out: there is none."""

    @property
    def settings(self) -> tuple[tuple[int, int], ...]:
        """(kernel, expansion), in ascending order: what a block chooses from."""
        return tuple(product(self.kernels, self.expansions))

    def scaled(self, width: float) -> "ElasticSpace":
        """The space with all channels multiplied by `width` and rounded to multiples of 8."""
        stages = tuple(stage.model_copy(update={"channels": multiple_of_eight(width * stage.channels)}) for stage in self.stages)
        once = {"stem": self.stem, "first_block": self.first_block, "feature_mix": self.feature_mix}
        wide = {name: None if channels is None else multiple_of_eight(width * channels) for name, channels in once.items()}
        return self.model_copy(update={"stages": stages, **wide})


@dataclass(frozen=True)
class SubNetwork:
    """One network of a space."""

    resolution: int
    stages: tuple[tuple[tuple[int, int], ...], ...]
    """For each stage, for each of its blocks, (kernel, expansion)."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(len(stage) for stage in self.stages)


def largest(space: ElasticSpace) -> SubNetwork:
    """The network that holds all others."""
    return _uniform(space, -1)


def smallest(space: ElasticSpace) -> SubNetwork:
    """The network that needs the least."""
    return _uniform(space, 0)


def random_subnetwork(space: ElasticSpace, generator: np.random.Generator) -> SubNetwork:
    """Every choice uniform and by itself."""
    resolution = int(generator.choice(space.resolutions))
    return SubNetwork(resolution, tuple(_random_stage(space, generator) for _ in space.stages))


def random_block(space: ElasticSpace, generator: np.random.Generator) -> tuple[int, int]:
    """The kernel and the expansion of a block, uniform."""
    return int(generator.choice(space.kernels)), int(generator.choice(space.expansions))


def count(space: ElasticSpace) -> int:
    """How many different networks the space has."""
    return len(space.resolutions) * int(_stage_count(space) ** len(space.stages))


def encode(space: ElasticSpace, network: SubNetwork) -> int:
    """The number of a network, 0 to count - 1. Raises ValueError where it is not one of the space."""
    check(space, network)
    number = space.resolutions.index(network.resolution)
    for stage in network.stages:
        number = number * _stage_count(space) + _encode_stage(space, stage)
    return number


def decode(space: ElasticSpace, number: int) -> SubNetwork:
    """The network with a number. Raises ValueError where there is none."""
    if not 0 <= number < count(space):
        raise ValueError(f"networks of the space have numbers from 0 to {count(space) - 1}, not {number}")
    stages = []
    for _ in space.stages:
        number, own = divmod(number, _stage_count(space))
        stages.append(_decode_stage(space, own))
    return SubNetwork(space.resolutions[number], tuple(reversed(stages)))


def check(space: ElasticSpace, network: SubNetwork) -> None:
    """Raises ValueError where a network is not one of the space."""
    blocks = {setting for stage in network.stages for setting in stage}
    if (
        len(network.stages) != len(space.stages)
        or network.resolution not in space.resolutions
        or not set(network.depths) <= set(space.depths)
        or not blocks <= set(space.settings)
    ):
        raise ValueError(f"{network} is no network of this space")


def architecture(space: ElasticSpace, network: SubNetwork) -> MobileArchitecture:
    """What a network is made of. Raises ValueError where it is not one of the space."""
    check(space, network)
    stem = Stem(out_channels=multiple_of_eight(space.stem), kernel=3, stride=space.stem_stride)
    blocks = tuple(_blocks(space, network, stem.out_channels))
    features = None if space.feature_mix is None else multiple_of_eight(space.feature_mix)
    classifier_in = blocks[-1].out_channels if features is None else features
    return MobileArchitecture(name="elastic", stem=stem, blocks=blocks, feature_mix=features, classifier_in=classifier_in)


def places(space: ElasticSpace, network: SubNetwork) -> tuple[int, ...]:
    """For every block of a network's architecture, its place among the blocks of the largest one."""
    fixed = space.first_block is not None
    most = max(space.depths)
    own = [fixed + stage * most + place for stage, depth in enumerate(network.depths) for place in range(depth)]
    return (*range(fixed), *own)


def _uniform(space: ElasticSpace, which: int) -> SubNetwork:
    setting = (space.kernels[which], space.expansions[which])
    return SubNetwork(space.resolutions[which], tuple((setting,) * space.depths[which] for _ in space.stages))


def _random_stage(space: ElasticSpace, generator: np.random.Generator) -> tuple[tuple[int, int], ...]:
    return tuple(random_block(space, generator) for _ in range(int(generator.choice(space.depths))))


def _stage_count(space: ElasticSpace) -> int:
    return sum(int(len(space.settings) ** depth) for depth in space.depths)


def _encode_stage(space: ElasticSpace, stage: tuple[tuple[int, int], ...]) -> int:
    base = len(space.settings)
    number = 0
    for setting in stage:
        number = number * base + space.settings.index(setting)
    return number + sum(int(base**depth) for depth in space.depths if depth < len(stage))


def _decode_stage(space: ElasticSpace, number: int) -> tuple[tuple[int, int], ...]:
    base = len(space.settings)
    for depth in space.depths:
        if number < base**depth:
            digits = [number // base**place % base for place in reversed(range(depth))]
            return tuple(space.settings[digit] for digit in digits)
        number -= base**depth
    raise AssertionError("the caller checked the number")


def _blocks(space: ElasticSpace, network: SubNetwork, incoming: int) -> Iterator[BlockShape]:
    if space.first_block is not None:
        outgoing = multiple_of_eight(space.first_block)
        yield block(incoming, outgoing, expansion=1, kernel=3, stride=1)
        incoming = outgoing
    for stage, settings in zip(space.stages, network.stages, strict=True):
        outgoing = multiple_of_eight(stage.channels)
        for place, (kernel, expansion) in enumerate(settings):
            yield block(incoming, outgoing, expansion=expansion, kernel=kernel, stride=stage.stride if place == 0 else 1)
            incoming = outgoing
