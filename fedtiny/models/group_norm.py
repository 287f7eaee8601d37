"""Group normalisation with eight channels to a group: what TinyTL puts in the place of every batch normalisation.

It treats each sample for itself, so it works at batch size 1 and has no running statistics for clients to disagree on.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_CHANNELS_PER_GROUP = 8


class GroupNormalization(nn.GroupNorm):
    """torch's group norm, also where its parameters train and nothing below it does."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, channels, ...) to the same shape and memory format."""
        trains = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())
        if trains and not inputs.requires_grad and not inputs.is_contiguous():
            # torch 2.13 on a CPU ends with a segmentation fault in the backward pass of a channels-last input that needs no gradient
            inputs = inputs.detach().requires_grad_()
        return functional.group_norm(inputs, self.num_groups, self.weight, self.bias, self.eps)


def group_norm(channels: int) -> GroupNormalization:
    """Groups of as many channels as the largest divisor of `channels` up to eight (arXiv 2007.11622, released code)."""
    per_group = max(size for size in range(1, _CHANNELS_PER_GROUP + 1) if channels % size == 0)
    return GroupNormalization(channels // per_group, channels)
