"""The network of a mobile architecture, for any input size and any number of classes, with or without lite residual modules.

Lite residual modules are put beside every block that expands, which is every block but the first: TinyTL's rule for
ProxylessNAS-Mobile, and by the same rule, which is ours, for the other mobile networks.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fedtiny.models.initialization import empty_linear, initialize
from fedtiny.models.inverted_bottleneck import InvertedBottleneck, Unit, convolution_unit
from fedtiny.models.lite_residual import NOMINAL_INPUT_RESOLUTION, LiteResidual, lite_kernel
from fedtiny.models.mobile_architecture import BlockShape, MobileArchitecture


class MobileNetwork(nn.Module):
    """Stem, blocks, optional feature mix, global average pooling, linear head; it remembers what it was made of."""

    def __init__(
        self, architecture: MobileArchitecture, channels: int, classes: int, *, lite_residual: bool, unit: Unit = convolution_unit
    ) -> None:
        super().__init__()
        self.architecture, self.channels, self.classes, self.unit = architecture, channels, classes, unit
        self.lite_residual = lite_residual
        stem, mix = architecture.stem, architecture.feature_mix
        self.stem = unit(channels, stem.out_channels, stem.kernel, stride=stem.stride)
        self.blocks = nn.Sequential(*_blocks(architecture.blocks, unit, lite_residual=lite_residual))
        self.feature_mix = None if mix is None else unit(architecture.blocks[-1].out_channels, mix, 1)
        self.head = empty_linear(architecture.classifier_in, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to logits (batch, classes)."""
        for stage in self.stages():
            inputs = stage(inputs)
        return inputs

    def stages(self) -> list[Callable[[Tensor], Tensor]]:
        """What the network does to its inputs, one thing after the other."""
        mix = [] if self.feature_mix is None else [self.feature_mix]
        return [self.stem, _channels_last, self.blocks, *mix, _averaged, self.head]


def _channels_last(features: Tensor) -> Tensor:
    # depthwise convolutions on small maps are up to 30 times faster on a CPU, and nothing is slower
    return features.contiguous(memory_format=torch.channels_last)


def _averaged(features: Tensor) -> Tensor:
    return features.mean((2, 3))


def _blocks(shapes: tuple[BlockShape, ...], unit: Unit, *, lite_residual: bool) -> list[InvertedBottleneck]:
    nominal_resolution = NOMINAL_INPUT_RESOLUTION
    blocks = []
    for shape in shapes:
        kernel = lite_kernel(nominal_resolution)
        carries = lite_residual and shape.has_expand
        lite = LiteResidual(shape.in_channels, shape.out_channels, kernel=kernel, stride=shape.stride) if carries else None
        blocks.append(InvertedBottleneck(shape, lite, unit))
        nominal_resolution //= shape.stride
    return blocks


def build_mobile_network(
    architecture: MobileArchitecture,
    input_shape: tuple[int, int, int],
    classes: int,
    *,
    lite_residual: bool,
    generator: torch.Generator,
    unit: Unit = convolution_unit,
) -> MobileNetwork:
    """The network with random values from `generator`; of the input shape only the channels matter."""
    network = MobileNetwork(architecture, input_shape[0], classes, lite_residual=lite_residual, unit=unit)
    initialize(network, generator)
    return network
