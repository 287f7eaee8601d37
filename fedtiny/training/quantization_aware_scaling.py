"""Quantization-aware scaling (QAS): gradients of an int8 network in the proportion that they have in the real one.

A weight W is held as W / s_W and a bias b as b / (s_W s_x), so their gradients are s_W and s_W s_x times those of W and b, and the
ratio of weight to gradient is off by s^-2, differently in every channel. QAS multiplies

    gradient of a weight by s_W^-2,    gradient of a bias by (s_W s_x)^-2

and SGD then moves W and b, before rounding, exactly as in the real network. No hyper-parameter; the head is real and untouched.
Lin et al.: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv 2206.15472, section 2.1, equation 4.

What a device keeps between steps is either float master values, which only the forward pass rounds (the authors' released
simulator), or integers, rounded after every step (their paper). Stochastic rounding, ours, goes up with the probability of
the fraction that it drops, so that steps of less than half an integer count on average.
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fedtiny.models.quantization import DEFAULT, Int8
from fedtiny.models.quantized_network import parameter_scales, quantized_convolutions
from fedtiny.updates.layout import Layout, OwnElements

_INT8: Final = (-128.0, 127.0)
_INT32: Final = (-(2.0**31), 2.0**31 - 1)
_REAL: Final = (-np.inf, np.inf)


def gradient_factors(network: nn.Module, layout: Layout, quantization: Int8 = DEFAULT) -> Tensor | None:
    """What each element of the flat gradient is multiplied by, shape (trainable elements,), 1 for real parameters; None: by nothing."""
    scales = parameter_scales(network)
    if quantization.scaling == "none" or not scales:
        return None
    one = torch.ones((), dtype=next(network.parameters()).dtype)
    factors = []
    for tensor in layout.tensors:
        whole = scales.get(tensor.name, one).pow(-2).expand(tensor.shape).reshape(-1)
        factors.append(whole[torch.from_numpy(tensor.positions())])
    return torch.cat(factors)


@dataclass(frozen=True)
class IntegerStorage:
    """Which elements of a flat vector a device keeps as integers, and how large those can be."""

    integers: Tensor
    """Whether an element is an integer, shape (trainable elements,)."""
    lowest: Tensor
    """The smallest value of each element, shape (trainable elements,)."""
    highest: Tensor
    """The largest value of each element."""
    rounding: Literal["nearest", "stochastic"]

    def store(self, weights: Tensor, generator: np.random.Generator, part: OwnElements | None = None) -> None:
        """Rounds and clamps in place the integers among the weights (trainable elements,), or among those of one device's part.

        `generator` is drawn from for stochastic rounding only.
        """
        chosen = torch.arange(len(weights)) if part is None else torch.from_numpy(part.positions)
        chosen = chosen[self.integers[chosen]]
        values = weights[chosen]
        if self.rounding == "nearest":
            values.round_()
        else:
            values.add_(torch.from_numpy(generator.random(len(values))).to(values.dtype)).floor_()
        weights[chosen] = values.clamp_(self.lowest[chosen], self.highest[chosen])


def integer_storage(network: nn.Module, layout: Layout, quantization: Int8 = DEFAULT) -> IntegerStorage | None:
    """The storage of an int8 network: weights in 8 bits, biases in 32, the head real; None where everything is stored as it is."""
    ranges = {
        f"{path}.{name}": limits for path, _ in quantized_convolutions(network) for name, limits in (("weight", _INT8), ("bias", _INT32))
    }
    if quantization.storage == "float_master" or not ranges:
        return None
    limits = np.concatenate([np.tile(ranges.get(tensor.name, _REAL), (tensor.elements, 1)) for tensor in layout.tensors])
    lowest, highest = torch.from_numpy(limits).to(next(network.parameters()).dtype).unbind(1)
    return IntegerStorage(torch.isfinite(lowest), lowest, highest, quantization.rounding)
