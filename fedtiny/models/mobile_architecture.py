"""Mobile networks as data: a stem, inverted bottleneck blocks, an optional feature mix, and a linear head.

The three microcontroller networks are read from `architectures/*.yaml`; ProxylessNAS-Mobile and MobileNetV2 are
computed from their published tables.
"""

from importlib.resources import files
from typing import Annotated

import yaml
from pydantic import Field, Strict

from fedtiny.parts import Part

_DIVISOR = 8
_LARGEST_LOSS = 0.9

Count = Annotated[int, Field(gt=0)]


class Stem(Part):
    """The first convolution."""

    out_channels: Count
    kernel: Count
    stride: Count


class BlockShape(Part):
    """One inverted bottleneck: [1x1 expansion ->] depthwise convolution -> 1x1 projection."""

    in_channels: Count
    mid_channels: Count
    """Channels of the depthwise convolution."""
    out_channels: Count
    kernel: Count
    stride: Count
    has_expand: bool
    residual: bool
    """Whether the block's input is added to its output."""


class MobileArchitecture(Part):
    """A network of inverted bottlenecks."""

    name: str
    stem: Stem
    blocks: Annotated[tuple[BlockShape, ...], Strict(False)]
    feature_mix: Count | None
    """Channels of a 1x1 convolution behind the last block, if there is one."""
    classifier_in: Count
    """Features that the linear head receives."""


def read_architecture(name: str) -> MobileArchitecture:
    """The architecture in the package's file architectures/<name>.yaml."""
    text = files("fedtiny.models").joinpath("architectures", f"{name}.yaml").read_text(encoding="utf-8")
    return MobileArchitecture.model_validate(yaml.safe_load(text))


def block(in_channels: int, out_channels: int, *, expansion: int, kernel: int, stride: int) -> BlockShape:
    """A block that expands by `expansion`, with a shortcut wherever input and output have the same shape."""
    return BlockShape(
        in_channels=in_channels,
        mid_channels=in_channels * expansion,
        out_channels=out_channels,
        kernel=kernel,
        stride=stride,
        has_expand=expansion != 1,
        residual=stride == 1 and in_channels == out_channels,
    )


def multiple_of_eight(channels: float) -> int:
    """The multiple of 8 nearest to `channels`, at least 8, and one more where that would lose over a tenth.

    The rounding of the MobileNet family (Sandler et al., arXiv 1801.04381, released code).
    """
    rounded = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded if rounded >= _LARGEST_LOSS * channels else rounded + _DIVISOR
