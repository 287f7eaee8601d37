"""A network of one-dimensional convolutions for keywords: the shape of TC-ResNet8, some 65 000 parameters.

The features of a moment (40 MFCCs, say) are the channels, time is the only axis that is convolved:

    unit(x)  = relu(norm(convolution(x)))
    network  = unit of 16 channels, 3 steps wide -> three blocks of 24, 32 and 48 channels -> mean over time -> linear
    block(x) = relu( norm(convolution(unit(x))) + shortcut(x) )     both convolutions 9 steps wide, the first takes every second step
    shortcut = unit 1 step wide, every second step

TC-ResNet8 has batch norm, dropout and no bias in its head; here it is group norm, as in all networks of FedTiny, no dropout, and a
bias. The paper counts 66 thousand parameters (moving statistics included) and 3.0 million operations, two to a multiply-accumulate,
for a second of speech: 98 time steps of 40 features, 12 words.

Citation: Choi et al.: Temporal Convolution for Real-time Keyword Spotting on Mobile Devices. Interspeech 2019, arXiv 1904.03814, and
the authors' program (hyperconnect/TC-ResNet).
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from fedtiny.models.base import Inputs, Model, refuse_lite_residual
from fedtiny.models.group_norm import group_norm
from fedtiny.models.initialization import empty_linear, empty_temporal_convolution, initialize

_CHANNELS = (16, 24, 32, 48)
_FIRST_KERNEL = 3
_KERNEL = 9


class KeywordCnn(Model):
    """One-dimensional convolutions over time, TC-ResNet8 with group norm; for features over time."""

    kind: Literal["keyword_cnn"] = "keyword_cnn"
    takes: ClassVar[Inputs] = "series"
    width: Annotated[float, Field(gt=0, le=16)] = 1.0
    """Factor on the number of channels, which are rounded to whole numbers; TC-ResNet8-1.5 has 1.5."""

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for inputs (channels, height, steps), whose channels * height are the features of a time step.

        Raises ModelError if lite residual modules are asked for.
        """
        refuse_lite_residual(self.kind, lite_residual)
        network = KeywordNetwork(math.prod(input_shape[:2]), classes, [max(1, round(self.width * channels)) for channels in _CHANNELS])
        initialize(network, generator)
        return network

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """No; ModelError where the update trains them."""
        return refuse_lite_residual(self.kind, update_trains_lite)


class KeywordNetwork(nn.Module):
    """The layers, without initial values: `channels` are those of the first convolution and of the blocks."""

    def __init__(self, features: int, classes: int, channels: list[int]) -> None:
        super().__init__()
        self.first = _unit(features, channels[0], _FIRST_KERNEL)
        self.blocks = nn.Sequential(*(TemporalBlock(before, after) for before, after in pairwise(channels)))
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.head = empty_linear(channels[-1], classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (batch, classes) of inputs (batch, ..., steps), all axes between being features."""
        for stage in self.stages():
            inputs = stage(inputs)
        return inputs

    def stages(self) -> list[Callable[[Tensor], Tensor]]:
        """What the network does to its inputs, one thing after the other."""
        return [_as_series, self.first, self.blocks, self.pool, self.flatten, self.head]


def _as_series(inputs: Tensor) -> Tensor:
    return inputs.flatten(1, -2)


class TemporalBlock(nn.Module):
    """Two convolutions, beside them one of a single step; both branches halve the time steps, rounded up."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            OrderedDict(
                first=_unit(in_channels, out_channels, _KERNEL, stride=2),
                second=_unit(out_channels, out_channels, _KERNEL, activated=False),
            )
        )
        self.shortcut = _unit(in_channels, out_channels, 1, stride=2)
        self.activation = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, in_channels, steps) -> (batch, out_channels, half the steps)."""
        output: Tensor = self.activation(self.main(inputs) + self.shortcut(inputs))
        return output


def _unit(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, activated: bool = True) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["convolution"] = empty_temporal_convolution(in_channels, out_channels, kernel, stride=stride)
    parts["norm"] = group_norm(out_channels)
    if activated:
        parts["activation"] = nn.ReLU()
    return nn.Sequential(parts)
