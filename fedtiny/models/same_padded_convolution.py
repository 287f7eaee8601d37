"""Convolution padded as TensorFlow's "same": the output is ceil(input / stride) wide, and an odd pixel of padding goes right and below.

    padding = max((ceil(size / stride) - 1) * stride + kernel - size, 0),    before = padding // 2,    after = padding - before

Networks that were trained with it lose accuracy under a symmetric padding: at stride 2 and an even size every window would be off
by one pixel (TensorFlow documentation, tf.nn, "Notes on padding").
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SamePaddedConvolution(nn.Conv2d):
    """A square convolution without bias, padded for the size that comes. Its weight starts uninitialised."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        # on the meta device the constructor draws nothing from torch's global generator
        super().__init__(in_channels, out_channels, kernel, stride=stride, groups=groups, bias=False, device="meta")
        self.weight = nn.Parameter(torch.empty(self.weight.shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, in_channels, height, width) to (batch, out_channels, height / stride, width / stride), rounded up."""
        height, width = (self._padding(size) for size in inputs.shape[-2:])
        symmetric = height % 2 == width % 2 == 0
        if not symmetric:
            inputs = functional.pad(inputs, (width // 2, width - width // 2, height // 2, height - height // 2))
        padding = (height // 2, width // 2) if symmetric else 0
        return functional.conv2d(inputs, self.weight, stride=self.stride, padding=padding, groups=self.groups)

    def _padding(self, size: int) -> int:
        """The pixels to add to an axis of this size, before and after it together."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        return max((-(-size // stride) - 1) * stride + kernel - size, 0)
