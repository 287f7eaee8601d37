"""Post-training quantisation: the int8 network of a folded one.

    s_W  = max |W| / 127 per output channel           zero of weights: 0
    s_y  = (max y - min y) / 255 per tensor           zero_y = round(-128 - min y / s_y)
    bias = round(b / (s_W s_x))                       weight = round(W / s_W)

with min y <= 0 <= max y over a calibration batch, so that 0, which also pads, is an integer exactly. Behind ReLU6, min y = 0 and
max y <= 6: the clamp to int8 is the activation. Jacob et al.: Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference, CVPR 2018, arXiv 1712.05877, section 2; per output channel as in Lin et al., arXiv 2206.15472.

Ours: where a channel's weights are so small that its bias would not fit 32 bits, s_W is as large as the bias needs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.quantization import Int8
from fedtiny.models.quantized_convolution import HIGHEST, LOWEST, QuantizedAddition, QuantizedConvolution, Requantization
from fedtiny.models.quantized_network import QuantizedBottleneck, QuantizedMobileNetwork, quantized_convolutions
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples

LARGEST_WEIGHT: Final = 127
LARGEST_BIAS: Final = 2**31 - 1


@dataclass(frozen=True)
class Affine:
    """A tensor of integers y that stand for scale * (y - zero)."""

    scale: float
    zero: float


@dataclass(frozen=True)
class _Watched:
    """How the tensors that went into and came out of a module become integers."""

    inputs: Affine
    output: Affine


def calibration_inputs(examples: Examples, chosen: np.ndarray, quantization: Int8, streams: Streams) -> Tensor:
    """Inputs of so many of the chosen examples as the quantisation asks for, or of all of them if they are fewer."""
    order = streams.numpy("quantization", "calibration").permutation(chosen)
    return examples.inputs[torch.from_numpy(np.sort(order[: quantization.calibration_examples]))]


@torch.no_grad()
def quantize(network: nn.Module, quantized: QuantizedMobileNetwork, inputs: Tensor) -> None:
    """Fills an int8 network in place from a folded one and calibration inputs (examples, channels, height, width)."""
    seen = _run(network, inputs)
    for path, convolution in quantized_convolutions(quantized):
        unit = path.removesuffix(".convolution")
        requantization = quantized.get_submodule(f"{unit}.requantization")
        source = network.get_submodule(path)
        assert isinstance(source, FoldedConvolution)
        assert isinstance(requantization, Requantization)
        _fill_convolution(convolution, source, seen[unit].inputs)
        _fill_requantization(requantization, convolution, seen[unit].output)
    for path, block in quantized.named_modules():
        if isinstance(block, QuantizedBottleneck) and block.addition is not None:
            _fill_addition(block.addition, seen[path].inputs, seen[f"{path}.main"].output, seen[path].output)
    _fill_ends(network, quantized, seen)


def affine_of(values: Tensor) -> Affine:
    """Scale and zero of the int8 tensor that reaches from the smallest value to the largest, 0 included."""
    lower, upper = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if lower == upper:
        return Affine(1.0, float(LOWEST))
    scale = (upper - lower) / (HIGHEST - LOWEST)
    return Affine(scale, float(round(LOWEST - lower / scale)))


def _run(network: nn.Module, inputs: Tensor) -> dict[str, _Watched]:
    seen: dict[str, _Watched] = {}
    with _watching(network, seen):
        network(inputs)
    return seen


@contextmanager
def _watching(network: nn.Module, seen: dict[str, _Watched]) -> Iterator[None]:
    def watch(path: str) -> Any:
        def note(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
            seen[path] = _Watched(affine_of(arguments[0]), affine_of(output))

        return note

    handles = [module.register_forward_hook(watch(path)) for path, module in network.named_modules() if [*module.children()]]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _fill_convolution(convolution: QuantizedConvolution, source: FoldedConvolution, inputs: Affine) -> None:
    assert source.bias is not None, "a folded network has biases; only its twin has none"
    by_weight = source.weight.abs().amax((1, 2, 3)) / LARGEST_WEIGHT
    by_bias = source.bias.abs() / (inputs.scale * LARGEST_BIAS)
    scale = torch.maximum(by_weight, by_bias)
    convolution.weight_scale.copy_(torch.where(scale > 0, scale, torch.ones_like(scale)))
    convolution.input_scale.fill_(inputs.scale)
    convolution.input_zero.fill_(inputs.zero)
    scales = convolution.scales()
    convolution.weight.copy_((source.weight / scales["weight"]).round())
    convolution.bias.copy_((source.bias / scales["bias"]).round())


def _fill_requantization(requantization: Requantization, convolution: QuantizedConvolution, output: Affine) -> None:
    requantization.multiplier.copy_((convolution.weight_scale * convolution.input_scale / output.scale).view(-1, 1, 1))
    requantization.zero.fill_(output.zero)


def _fill_addition(addition: QuantizedAddition, shortcut: Affine, main: Affine, output: Affine) -> None:
    addition.shortcut_zero.fill_(shortcut.zero)
    addition.shortcut_multiplier.fill_(shortcut.scale / output.scale)
    addition.main_zero.fill_(main.zero)
    addition.main_multiplier.fill_(main.scale / output.scale)
    addition.requantization.zero.fill_(output.zero)


def _fill_ends(network: nn.Module, quantized: QuantizedMobileNetwork, seen: dict[str, _Watched]) -> None:
    first, last = seen["stem"].inputs, seen["blocks" if quantized.feature_mix is None else "feature_mix"].output
    quantized.quantization.scale.fill_(first.scale)
    quantized.quantization.zero.fill_(first.zero)
    quantized.dequantization.scale.fill_(last.scale)
    quantized.dequantization.zero.fill_(last.zero)
    for name, parameter in quantized.head.named_parameters():
        parameter.copy_(network.get_parameter(f"head.{name}"))
