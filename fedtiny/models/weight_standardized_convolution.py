"""Convolution whose weight is standardised on the fly (Qiao et al., arXiv 1903.10520), as in TinyTL.

    weight^ = (weight - mean) / (std + EPSILON)

with mean and unbiased standard deviation over each output channel. The stored weight stays as it is; the function
does not change when a constant is added to an output channel's weight, and hardly when that weight is scaled.
TinyTL standardises every convolution without bias, and all of its convolutions are without (arXiv 2007.11622).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-5


def standardized(weight: Tensor) -> Tensor:
    """The weight (out, in / groups, kernel, kernel) with mean 0 and standard deviation about 1 in each output channel."""
    centred = weight - weight.mean((1, 2, 3), keepdim=True)
    # several times faster than `std` on tensors this small, and also without a gradient where a channel is constant
    deviation: Tensor = torch.linalg.vector_norm(centred, dim=(1, 2, 3), keepdim=True) / math.sqrt(weight[0].numel() - 1)
    return centred / (deviation + EPSILON)


class WeightStandardizedConvolution(nn.Module):
    """A square convolution without bias; padding kernel // 2 keeps the size at stride 1. Its weight starts uninitialised."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, kernel, kernel))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride), rounded up."""
        return functional.conv2d(inputs, standardized(self.weight), stride=self.stride, padding=self.kernel // 2, groups=self.groups)
