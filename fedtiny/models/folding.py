"""Batch normalisation and its folding: how a network without norms gets its values.

The twin of a folded network has, in the place of each convolution with bias, one without and a batch normalisation. It is
trained with the statistics of its batches; in evaluation mode it is the folded network with

    factor = gamma / sqrt(running_var + eps),   weight = factor * weight of the twin,   bias = beta - factor * running_mean

per output channel (Jacob et al.: Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference, CVPR 2018, arXiv 1712.05877, section 3.2). Only servers hold twins: clients could not average running statistics.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import cast

import torch
from torch import Tensor, nn

from fedtiny.models.folded_convolution import FoldedConvolution


def is_folded(network: nn.Module) -> bool:
    """Whether the network has convolutions whose values come from a batch-normalised twin."""
    return any(True for _ in _folded(network))


def batch_normalized_twin(network: nn.Module) -> nn.Module:
    """A copy of a folded network with batch normalisations; its weights are those of the network, its biases are gone."""
    twin = deepcopy(network)
    for path, convolution in [*_folded(twin)]:
        owner, _, name = path.rpartition(".")
        setattr(twin.get_submodule(owner), name, _with_batch_norm(convolution))
    return twin


def _with_batch_norm(convolution: FoldedConvolution) -> nn.Sequential:
    norm = nn.BatchNorm2d(len(convolution.weight), dtype=convolution.weight.dtype)
    convolution.bias = None
    return nn.Sequential(OrderedDict(convolution=convolution, norm=norm))


@torch.no_grad()
def estimate_statistics(twin: nn.Module, batches: Iterable[Tensor]) -> None:
    """Sets the running mean and variance of every batch normalisation to the average over these inputs, equal batches assumed.

    The averages gathered in training lag behind the weights. Leaves the twin in evaluation mode.
    """
    norms = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    twin.train()
    for inputs in batches:
        twin(inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    twin.eval()


@torch.no_grad()
def fold(twin: nn.Module, network: nn.Module) -> None:
    """Fills a folded network in place so that it computes what its twin computes in evaluation mode."""
    folded = dict(_folded(network))
    own = dict(network.named_parameters())
    values = dict(twin.named_parameters())
    for name in own.keys() & values.keys():
        own[name].copy_(values[name])
    for path, convolution in folded.items():
        pair = twin.get_submodule(path)
        norm = cast(nn.BatchNorm2d, pair.get_submodule("norm"))
        mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
        factor = norm.weight / torch.sqrt(variance + norm.eps)
        convolution.weight.copy_(values[f"{path}.convolution.weight"] * factor.view(-1, 1, 1, 1))
        cast(nn.Parameter, convolution.bias).copy_(norm.bias - mean * factor)


def _folded(network: nn.Module) -> Iterator[tuple[str, FoldedConvolution]]:
    return ((path, module) for path, module in network.named_modules() if isinstance(module, FoldedConvolution))
