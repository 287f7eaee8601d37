"""Batch normalisation with frozen statistics: what an imported network keeps of the batch normalisation it was trained with.

    output = scale * inputs + (bias - scale * mean),    scale = weight / sqrt(variance + EPSILON)

per channel (Ioffe, Szegedy: Batch Normalization, ICML 2015, arXiv 1502.03167, section 3.1, at inference). `mean` and `variance` are
those of the data the network was pre-trained on and never change, so a sample does not depend on its batch, batch size 1 works, and
clients have nothing to disagree on. weight (gamma) and bias (beta) train as the update says. The gradient of beta needs nothing
kept, that of the inputs only `scale`, one number per channel; only the gradient of gamma needs the inputs.
"""

import torch
from torch import Tensor, nn

EPSILON = 1e-3


class FrozenBatchNormalization(nn.Module):
    """A norm per channel with fixed mean and variance; with its first values it changes nothing but by EPSILON."""

    # torch declares buffers as Tensor | Module
    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, channels, height, width) to the same shape."""
        scale = self.weight * torch.rsqrt(self.variance + EPSILON)
        shift = self.bias - scale * self.mean
        # one fused operation: without a gradient for scale, autograd keeps nothing as large as the inputs
        return torch.addcmul(shift.view(-1, 1, 1), inputs, scale.view(-1, 1, 1))
