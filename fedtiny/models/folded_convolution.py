"""Convolution with a bias and no norm behind it: what is left when a batch normalisation is folded into its convolution.

Networks for microcontrollers consist of these (Lin et al.: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv
2206.15472, section 2.1). One with random values has nothing that keeps its activations in range, so its values come from
a batch-normalised twin (see `folding`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class FoldedConvolution(nn.Module):
    """A square convolution; padding kernel // 2 keeps the size at stride 1. Its values start uninitialised; a twin has no bias."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.kernel = kernel
        self.stride = stride
        self.groups = groups
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, kernel, kernel))
        self.bias: nn.Parameter | None = nn.Parameter(torch.empty(out_channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride), rounded up."""
        return functional.conv2d(inputs, self.weight, self.bias, stride=self.stride, padding=self.kernel // 2, groups=self.groups)
