"""A mobile network in int8, with a head in floating point (Lin et al., arXiv 2206.15472; there a quantised head costs 2 % accuracy).

It has the shape and the parameter names of the folded network that it is made from (design/quantization.py), but convolutions
hold integers: the weight over s_W, the bias over s_W s_x. Blocks with a shortcut add in int8. Pooled features become real numbers
before the head.
"""

from collections import OrderedDict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from fedtiny.models.initialization import empty_linear, initialize
from fedtiny.models.inverted_bottleneck import main_branch
from fedtiny.models.mobile_architecture import BlockShape, MobileArchitecture
from fedtiny.models.quantized_convolution import (
    Dequantization,
    InputQuantization,
    QuantizedAddition,
    QuantizedConvolution,
    Requantization,
)


def quantized_unit(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, activated: bool = True
) -> nn.Sequential:
    """Convolution and requantisation, under the names convolution and requantization; an activation is in the latter's clamp."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["convolution"] = QuantizedConvolution(in_channels, out_channels, kernel, stride=stride, groups=groups)
    parts["requantization"] = Requantization(out_channels)
    return nn.Sequential(parts)


class QuantizedBottleneck(nn.Module):
    """An inverted bottleneck of integers; `addition` is None where it has no shortcut."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.main = main_branch(shape, quantized_unit)
        self.addition = QuantizedAddition() if shape.residual else None
        self.shortcut = shape.residual

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps integers (batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride), rounded up."""
        output: Tensor = self.main(inputs)
        return output if self.addition is None else self.addition(inputs, output)


class QuantizedMobileNetwork(nn.Module):
    """Input quantisation, stem, blocks, optional feature mix, global average pooling, dequantisation, linear head."""

    def __init__(self, architecture: MobileArchitecture, channels: int, classes: int) -> None:
        super().__init__()
        stem, mix = architecture.stem, architecture.feature_mix
        self.quantization = InputQuantization()
        self.stem = quantized_unit(channels, stem.out_channels, stem.kernel, stride=stem.stride)
        self.blocks = nn.Sequential(*map(QuantizedBottleneck, architecture.blocks))
        self.feature_mix = None if mix is None else quantized_unit(architecture.blocks[-1].out_channels, mix, 1)
        self.dequantization = Dequantization()
        self.head = empty_linear(architecture.classifier_in, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps real inputs (batch, channels, height, width) to logits (batch, classes)."""
        # channels last for the same reason as in MobileNetwork
        first = self.stem(self.quantization(inputs)).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.blocks(first)
        if self.feature_mix is not None:
            features = self.feature_mix(features)
        logits: Tensor = self.head(self.dequantization(features.mean((2, 3))))
        return logits


def build_quantized_network(
    architecture: MobileArchitecture, input_shape: tuple[int, int, int], classes: int, *, generator: torch.Generator
) -> QuantizedMobileNetwork:
    """The network with a random head from `generator` and convolutions that are 0 until `design.quantization` fills them."""
    network = QuantizedMobileNetwork(architecture, input_shape[0], classes)
    initialize(network, generator)
    return network


def quantized_convolutions(network: nn.Module) -> Iterator[tuple[str, QuantizedConvolution]]:
    """The convolutions of integers in a network, by path, in the order of the forward pass."""
    return ((path, module) for path, module in network.named_modules() if isinstance(module, QuantizedConvolution))


def parameter_scales(network: nn.Module) -> dict[str, Tensor]:
    """What an integer stands for, by parameter name, in a shape that broadcasts to the parameter's; nothing for real parameters."""
    return {f"{path}.{name}": scale for path, module in quantized_convolutions(network) for name, scale in module.scales().items()}


def set_rounding(network: nn.Module, *, rounds: bool) -> None:
    """Lets a network of integers compute with real numbers (False), to be compared with real arithmetic, or round again (True)."""
    for module in network.modules():
        if isinstance(module, (QuantizedConvolution, Requantization, InputQuantization)):
            module.rounds = rounds
