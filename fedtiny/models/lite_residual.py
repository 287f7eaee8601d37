"""Lite residual module: a small side branch that learns while the backbone stays frozen (TinyTL, arXiv 2007.11622, 3.2).

A block with input x gives main(x) + lite(x), where lite is

    average pooling 2x2 -> group convolution (2 groups, no expansion) -> norm -> ReLU -> 1x1 convolution -> norm -> upsampling

so it holds features at a quarter of the resolution and without the inverted bottleneck's expansion. The last norm
starts with gamma = 0: a new module adds exactly nothing.

The kernel follows a nominal schedule, not the real input: the resolution is taken to be 128 at the first block, each
block divides it by its stride, and kernel 5 is lowered by 2 until it is at most half of it (released code).
Ours: where the real input is smaller than the pooling window, the whole map is averaged instead.
"""

from torch import Tensor, nn
from torch.nn import functional

from fedtiny.models.group_norm import group_norm
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution

NOMINAL_INPUT_RESOLUTION = 128
_POOLING_WINDOW = 2
_GROUPS = 2
_LARGEST_KERNEL = 5


def lite_kernel(nominal_resolution: int) -> int:
    """The group convolution's kernel: 5, 3 or 1, at most half the nominal resolution of the block's input."""
    return max(kernel for kernel in range(1, _LARGEST_KERNEL + 1, 2) if kernel == 1 or kernel <= nominal_resolution // _POOLING_WINDOW)


class LiteResidual(nn.Module):
    """The side branch of one block. The channels inside are those of the input: all our widths are multiples of 8."""

    def __init__(self, in_channels: int, out_channels: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        self.group_convolution = WeightStandardizedConvolution(in_channels, in_channels, kernel, stride=stride, groups=_GROUPS)
        self.norm = group_norm(in_channels)
        self.activation = nn.ReLU()
        self.pointwise_convolution = WeightStandardizedConvolution(in_channels, out_channels, 1)
        self.final_norm = group_norm(out_channels)

    def forward(self, inputs: Tensor, size: tuple[int, int]) -> Tensor:
        """Maps (batch, in_channels, height, width) to (batch, out_channels, *size), or to size 1x1, which broadcasts."""
        fits = min(inputs.shape[-2:]) >= _POOLING_WINDOW
        pooled = functional.avg_pool2d(inputs, _POOLING_WINDOW) if fits else inputs.mean((2, 3), keepdim=True)
        features = self.activation(self.norm(self.group_convolution(pooled)))
        output: Tensor = self.final_norm(self.pointwise_convolution(features))
        return functional.interpolate(output, size, mode="bilinear", align_corners=False) if fits else output
