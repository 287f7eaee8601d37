"""Group normalisation with eight channels to a group: what TinyTL puts in the place of every batch normalisation.

It treats each sample for itself, so it works at batch size 1 and has no running statistics for clients to disagree on.
"""

from torch import nn

_CHANNELS_PER_GROUP = 8


def group_norm(channels: int) -> nn.GroupNorm:
    """Groups of as many channels as the largest divisor of `channels` up to eight (arXiv 2007.11622, released code)."""
    per_group = max(size for size in range(1, _CHANNELS_PER_GROUP + 1) if channels % size == 0)
    return nn.GroupNorm(channels // per_group, channels)
