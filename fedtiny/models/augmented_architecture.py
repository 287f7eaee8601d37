"""Wider relatives of a mobile architecture, in which it lies as the leading channels of every layer (NetAug, arXiv 2110.08890).

A choice names a factor for the stem's width, for every block's output (where a block has a shortcut, its output is as wide as its
input), for every block's expansion and for the feature mix, all independent of each other. Strides and kernels stay.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedtiny.models.augmentation import NetAug
from fedtiny.models.mobile_architecture import BlockShape, MobileArchitecture

TINY = 1.0


@dataclass(frozen=True)
class Choice:
    """A factor for every width and every expansion that is free, in the order of the network; 1 is the tiny network's own."""

    stem: float
    outputs: tuple[float, ...]
    expansions: tuple[float, ...]
    mix: float


def tiny_choice(architecture: MobileArchitecture) -> Choice:
    """The tiny network itself."""
    return _all(architecture, TINY, TINY)


def largest_choice(architecture: MobileArchitecture, augmentation: NetAug) -> Choice:
    """The network that holds all others."""
    return _all(architecture, max(augmentation.width), max(augmentation.expansion))


def random_choice(architecture: MobileArchitecture, augmentation: NetAug, generator: np.random.Generator, *, widths: bool = True) -> Choice:
    """A network drawn at random, each factor uniform and by itself; the widths stay the tiny network's own unless `widths`."""
    width = augmentation.width if widths else (TINY,)
    factors = {"w": width, "e": augmentation.expansion}
    drawn = {place: float(generator.choice(factors[place[0]])) for place in _places(architecture)}
    count = len(architecture.blocks)
    outputs, expansions = (tuple(drawn[f"{kind}{index}"] for index in range(count)) for kind in ("w", "e"))
    return Choice(drawn["w"], outputs, expansions, drawn["wm"])


def augmented(architecture: MobileArchitecture, choice: Choice, divisor: int = 1) -> MobileArchitecture:
    """The architecture that a choice makes. Widths are rounded to multiples of `divisor`, or of the largest power of two below it that
    divides the tiny network's own width, which therefore stays as it is."""
    stem = _times(architecture.stem.out_channels, choice.stem, divisor)
    blocks = tuple(_blocks(architecture, choice, stem, divisor))
    mix = architecture.feature_mix
    wide_mix = None if mix is None else _times(mix, choice.mix, divisor)
    return architecture.model_copy(
        update={
            "stem": architecture.stem.model_copy(update={"out_channels": stem}),
            "blocks": blocks,
            "feature_mix": wide_mix,
            "classifier_in": blocks[-1].out_channels if wide_mix is None else wide_mix,
        }
    )


def _all(architecture: MobileArchitecture, width: float, expansion: float) -> Choice:
    count = len(architecture.blocks)
    return Choice(width, (width,) * count, (expansion,) * count, width)


def _places(architecture: MobileArchitecture) -> Iterator[str]:
    """Names of all factors in the order in which they are drawn: widths begin with w, expansions with e, as blocks have numbers."""
    yield "w"
    for index in range(len(architecture.blocks)):
        yield f"w{index}"
        yield f"e{index}"
    yield "wm"


def _blocks(architecture: MobileArchitecture, choice: Choice, incoming: int, divisor: int) -> Iterator[BlockShape]:
    for block, width, expansion in zip(architecture.blocks, choice.outputs, choice.expansions, strict=True):
        outgoing = incoming if block.residual else _times(block.out_channels, width, divisor)
        ratio = block.mid_channels / block.in_channels
        middle = _rounded(ratio * expansion * incoming, block.mid_channels, divisor) if block.has_expand else incoming
        yield block.model_copy(update={"in_channels": incoming, "mid_channels": middle, "out_channels": outgoing})
        incoming = outgoing


def _times(channels: int, factor: float, divisor: int) -> int:
    return _rounded(channels * factor, channels, divisor)


def _rounded(wanted: float, own: int, divisor: int) -> int:
    """The multiple nearest to what is wanted, never below the tiny network's own."""
    while own % divisor:
        divisor //= 2
    return max(own, round(wanted / divisor) * divisor)
