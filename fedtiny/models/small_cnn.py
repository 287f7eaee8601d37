"""A small convolutional network: two strided 3x3 convolutions to 8 and 16 channels, each with group norm and ReLU, then linear.

Plain convolutions and plain group norms; nothing is standardised, and there is nowhere to attach a lite residual module.
"""

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from fedtiny.models.base import Model, refuse_lite_residual
from fedtiny.models.group_norm import group_norm
from fedtiny.models.initialization import empty_convolution, empty_linear, initialize

_CHANNELS = (8, 16)


class SmallCnn(Model):
    """Two strided convolutions and a linear layer on the flattened features."""

    kind: Literal["small_cnn"] = "small_cnn"

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for inputs (channels, height, width); ModelError if lite residual modules are asked for."""
        refuse_lite_residual(self.kind, lite_residual)
        network = small_cnn(input_shape, classes)
        initialize(network, generator)
        return network

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """No; ModelError where the update trains them."""
        return refuse_lite_residual(self.kind, update_trains_lite)


def small_cnn(input_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """The layers, without initial values. Each convolution has stride 2 and padding 1 and so halves the size, rounded up."""
    channels, height, width = input_shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, out_channels in enumerate(_CHANNELS, start=1):
        layers[f"convolution_{number}"] = empty_convolution(channels, out_channels, 3, stride=2)
        layers[f"norm_{number}"] = group_norm(out_channels)
        layers[f"activation_{number}"] = nn.ReLU()
        channels, height, width = out_channels, (height + 1) // 2, (width + 1) // 2
    layers["flatten"] = nn.Flatten()
    layers["head"] = empty_linear(channels * height * width, classes)
    return nn.Sequential(layers)
