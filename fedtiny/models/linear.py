"""A linear classifier on the flattened input: with cross-entropy, multinomial logistic regression."""

import math
from collections import OrderedDict
from typing import ClassVar, Literal

import torch
from torch import nn

from fedtiny.models.base import Inputs, Model, refuse_lite_residual
from fedtiny.models.initialization import empty_linear, initialize


class Linear(Model):
    """One linear layer."""

    kind: Literal["linear"] = "linear"
    takes: ClassVar[Inputs] = "anything"

    def build(self, input_shape: tuple[int, int, int], classes: int, *, lite_residual: bool, generator: torch.Generator) -> nn.Module:
        """The network for inputs (channels, height, width); ModelError if lite residual modules are asked for."""
        refuse_lite_residual(self.kind, lite_residual)
        network = nn.Sequential(OrderedDict(flatten=nn.Flatten(), head=empty_linear(math.prod(input_shape), classes)))
        initialize(network, generator)
        return network

    def wants_lite_residual(self, update_trains_lite: bool) -> bool:
        """No; ModelError where the update trains them."""
        return refuse_lite_residual(self.kind, update_trains_lite)
