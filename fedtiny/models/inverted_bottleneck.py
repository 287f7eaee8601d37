"""Inverted bottleneck block (MobileNetV2, arXiv 1801.04381): wide inside, narrow between blocks, no activation at its end.

With a lite residual module beside it: output = [input +] main(input) + lite(input).
"""

from collections import OrderedDict
from typing import Protocol

from torch import Tensor, nn

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.group_norm import group_norm
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.mobile_architecture import BlockShape
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution


class Unit(Protocol):
    """What a mobile network is made of: a convolution, what normalises it, and ReLU6 where `activated`."""

    def __call__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, activated: bool = True
    ) -> nn.Sequential:
        """The unit, its values still uninitialised; the convolution is named convolution."""


def convolution_unit(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, activated: bool = True
) -> nn.Sequential:
    """Convolution and norm, and ReLU6 where `activated`, under the names convolution, norm and activation."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["convolution"] = WeightStandardizedConvolution(in_channels, out_channels, kernel, stride=stride, groups=groups)
    parts["norm"] = group_norm(out_channels)
    if activated:
        parts["activation"] = nn.ReLU6()
    return nn.Sequential(parts)


def folded_unit(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1, activated: bool = True
) -> nn.Sequential:
    """Convolution with bias, and ReLU6 where `activated`, under the names convolution and activation."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["convolution"] = FoldedConvolution(in_channels, out_channels, kernel, stride=stride, groups=groups)
    if activated:
        parts["activation"] = nn.ReLU6()
    return nn.Sequential(parts)


def main_branch(shape: BlockShape, unit: Unit) -> nn.Sequential:
    """The units of a block in a row, under the names expand (where the block expands), depthwise and project."""
    main: OrderedDict[str, nn.Module] = OrderedDict()
    if shape.has_expand:
        main["expand"] = unit(shape.in_channels, shape.mid_channels, 1)
    main["depthwise"] = unit(shape.mid_channels, shape.mid_channels, shape.kernel, stride=shape.stride, groups=shape.mid_channels)
    main["project"] = unit(shape.mid_channels, shape.out_channels, 1, activated=False)
    return nn.Sequential(main)


class InvertedBottleneck(nn.Module):
    """One block; `shortcut` says whether its input is added to its output, `lite_residual` is None where it has none."""

    def __init__(self, shape: BlockShape, lite_residual: LiteResidual | None, unit: Unit = convolution_unit) -> None:
        super().__init__()
        self.main = main_branch(shape, unit)
        self.lite_residual = lite_residual
        self.shortcut = shape.residual

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride), rounded up."""
        output: Tensor = self.main(inputs)
        if self.lite_residual is not None:
            # in place keeps the memory layout, so that what comes after runs the very same kernels as without the module
            output.add_(self.lite_residual(inputs, output.shape[-2:]))
        return inputs + output if self.shortcut else output
