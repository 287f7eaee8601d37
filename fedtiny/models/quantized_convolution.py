"""The parts of an int8 network: convolution, requantisation, addition, and the way in and out.

A tensor of activations holds integers y between -128 and 127 that stand for scale * (y - zero). A convolution has a weight W of
integers, symmetric per output channel, and a bias b, and gives what a microcontroller accumulates in 32 bits:

    accumulators = W * (x - zero_x) + b
    y            = clamp(round(s * accumulators) + zero_y, -128, 127),    s = s_W s_x / s_y per output channel

An activation that follows, such as ReLU6, is in the clamp. Here the integers are held in floating point, and weight and bias are
master values that the forward pass rounds; gradients pass through rounding as if it were not there and through the clamp where it
did not clamp, which one bit per element says. Lin et al.: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv 2206.15472,
section 2.1 and released code.

Sums are exact while they stay below 2**24 in float32, and always in float64. Ours: s is a floating-point number, where a
microcontroller multiplies by a fixed-point one.
"""

from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

LOWEST: Final = -128
HIGHEST: Final = 127


class _Round(Function):
    """Rounds half to even; the gradient passes unchanged."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return values.round()

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Requantize(Function):
    """clamp(round(multiplier * values) + zero); keeps one truth value per element for its gradient."""

    @staticmethod
    def forward(context: Any, values: Tensor, multiplier: Tensor, zero: Tensor, rounds: bool) -> Tensor:
        outputs = values * multiplier
        if rounds:
            outputs.round_()
        outputs += zero
        context.save_for_backward((outputs >= LOWEST) & (outputs <= HIGHEST), multiplier)
        return outputs.clamp_(LOWEST, HIGHEST)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        within, multiplier = context.saved_tensors
        return gradient * within * multiplier, None, None, None


def rounded(values: Tensor) -> Tensor:
    """The nearest integers, half to even, with the gradient of the identity (straight-through)."""
    return cast(Tensor, _Round.apply(values))  # type: ignore[no-untyped-call]


class QuantizedConvolution(nn.Module):
    """A square convolution of integers (batch, in_channels, height, width) that gives its accumulators; 0 until it is calibrated."""

    weight_scale: Tensor
    """s_W, shape (out_channels,): what an integer of the weight stands for."""
    input_scale: Tensor
    """s_x."""
    input_zero: Tensor
    """zero_x: the integer that stands for 0, and that pads the input."""
    rounds: bool = True
    """Whether weight and bias are rounded in the forward pass; False to compare with real arithmetic."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels // groups, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.register_buffer("weight_scale", torch.ones(out_channels))
        self.register_buffer("input_scale", torch.ones(()))
        self.register_buffer("input_zero", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps integers to accumulators (batch, out_channels, height / stride, width / stride), rounded up."""
        weight, bias = (rounded(self.weight), rounded(self.bias)) if self.rounds else (self.weight, self.bias)
        shifted = inputs - self.input_zero
        return functional.conv2d(shifted, weight, bias, stride=self.stride, padding=self.kernel // 2, groups=self.groups)

    def scales(self) -> dict[str, Tensor]:
        """What one integer of each parameter stands for: s_W of the weight (out, 1, 1, 1), s_W s_x of the bias (out,)."""
        return {"weight": self.weight_scale.view(-1, 1, 1, 1), "bias": self.weight_scale * self.input_scale}


class Requantization(nn.Module):
    """Accumulators to int8: clamp(round(multiplier * accumulators) + zero, -128, 127)."""

    multiplier: Tensor
    """s, shape (channels, 1, 1)."""
    zero: Tensor
    """zero_y."""
    rounds: bool = True
    """Whether it rounds; False to compare with real arithmetic."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("multiplier", torch.ones(channels, 1, 1))
        self.register_buffer("zero", torch.zeros(()))

    def forward(self, accumulators: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to integers of the same shape."""
        return cast(Tensor, _Requantize.apply(accumulators, self.multiplier, self.zero, self.rounds))  # type: ignore[no-untyped-call]


class QuantizedAddition(nn.Module):
    """The sum of a shortcut and a main branch of other scales, as int8 of a scale of its own."""

    shortcut_zero: Tensor
    shortcut_multiplier: Tensor
    """Scale of the shortcut over that of the sum."""
    main_zero: Tensor
    main_multiplier: Tensor
    """Scale of the main branch over that of the sum."""

    def __init__(self) -> None:
        super().__init__()
        for branch in ("shortcut", "main"):
            self.register_buffer(f"{branch}_zero", torch.zeros(()))
            self.register_buffer(f"{branch}_multiplier", torch.ones(()))
        self.requantization = Requantization(1)

    def forward(self, shortcut: Tensor, main: Tensor) -> Tensor:
        """Maps two tensors of integers to a third of the same shape."""
        total = (shortcut - self.shortcut_zero) * self.shortcut_multiplier + (main - self.main_zero) * self.main_multiplier
        return cast(Tensor, self.requantization(total))


class InputQuantization(nn.Module):
    """Real inputs to int8: clamp(round(inputs / scale) + zero, -128, 127)."""

    scale: Tensor
    zero: Tensor
    rounds: bool = True
    """Whether it rounds; False to compare with real arithmetic."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero", torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps inputs of any shape to integers of that shape."""
        values = inputs / self.scale
        return ((values.round() if self.rounds else values) + self.zero).clamp(LOWEST, HIGHEST)


class Dequantization(nn.Module):
    """What integers, or averages of integers, stand for: scale * (values - zero)."""

    scale: Tensor
    zero: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("zero", torch.zeros(()))

    def forward(self, values: Tensor) -> Tensor:
        """Maps values of any shape to real numbers of that shape."""
        return (values - self.zero) * self.scale
