"""Random initial values, every one of them from a generator that is passed in, none from torch's global one.

Convolutions are normal with standard deviation sqrt(2 / (kernel * kernel * out_channels)), the linear head is uniform
between -1/sqrt(in) and 1/sqrt(in) with bias 0, norms have gamma 1 and beta 0, and the last norm of a lite residual
module has gamma 0 (TinyTL's released code). Backbone, head and lite residual modules draw from streams of their own,
so neither the number of classes nor the presence of lite residual modules changes anybody else's values.

Convolutions without a norm behind them are normal with standard deviation sqrt(2 / (kernel * kernel * in_channels / groups)),
bias 0: what enters a ReLU keeps its size (He, Zhang, Ren, Sun: Delving Deep into Rectifiers, ICCV 2015, arXiv 1502.01852).

Embeddings are standard normal. The weights of an LSTM of H units are uniform between -1/sqrt(H) and 1/sqrt(H), its bias is 0, but
1 for the forget gate, so that a cell remembers before it has learnt to (Jozefowicz, Zaremba, Sutskever: An Empirical Exploration of
Recurrent Network Architectures. ICML 2015).
"""

import math

import torch
from torch import nn

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.lstm import Lstm
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution

_SEEDS = 2**62


def empty_linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer without values yet: its constructor would draw from torch's global generator."""
    layer = nn.Linear(in_features, out_features, device="meta")
    _allocate(layer)
    return layer


def empty_convolution(in_channels: int, out_channels: int, kernel: int, *, stride: int) -> nn.Conv2d:
    """A plain convolution without bias and without values yet, padded by kernel // 2."""
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False, device="meta")
    _allocate(layer)
    return layer


def empty_temporal_convolution(in_channels: int, out_channels: int, kernel: int, *, stride: int) -> nn.Conv1d:
    """A convolution over time without bias and without values yet, padded by kernel // 2."""
    layer = nn.Conv1d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False, device="meta")
    _allocate(layer)
    return layer


def _allocate(layer: nn.Module) -> None:
    # Module.to_empty does this too, but imports torch's symbolic shapes first, which takes a second
    for name, parameter in [*layer.named_parameters()]:
        setattr(layer, name, nn.Parameter(torch.empty(parameter.shape)))


@torch.no_grad()
def initialize(network: nn.Module, generator: torch.Generator) -> None:
    """Gives every layer of the network its random values, and new lite residual modules their zero."""
    seeds = torch.randint(_SEEDS, (3,), generator=generator).tolist()
    backbone, head, lite = (torch.Generator().manual_seed(seed) for seed in seeds)
    modules_in_lite = {inner for module in network.modules() if isinstance(module, LiteResidual) for inner in module.modules()}
    for module in network.modules():
        if isinstance(module, FoldedConvolution):
            _draw_folded(module, backbone)
        elif isinstance(module, (nn.Conv1d, nn.Conv2d, WeightStandardizedConvolution)):
            _draw_convolution(module.weight, lite if module in modules_in_lite else backbone)
        elif isinstance(module, nn.Linear):
            _draw_linear(module, head)
        elif isinstance(module, LiteResidual):
            module.final_norm.weight.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.normal_(generator=backbone)
        elif isinstance(module, Lstm):
            _draw_lstm(module, backbone)


def _draw_convolution(weight: torch.Tensor, generator: torch.Generator) -> None:
    out_channels, _, *kernel = weight.shape
    weight.normal_(0, math.sqrt(2 / (math.prod(kernel) * out_channels)), generator=generator)


def _draw_folded(layer: FoldedConvolution, generator: torch.Generator) -> None:
    layer.weight.normal_(0, math.sqrt(2 / layer.weight[0].numel()), generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()


def _draw_linear(layer: nn.Linear, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(layer.in_features)
    layer.weight.uniform_(-bound, bound, generator=generator)
    layer.bias.zero_()


def _draw_lstm(layer: Lstm, generator: torch.Generator) -> None:
    bound = 1 / math.sqrt(layer.hidden_size)
    layer.weight_ih.uniform_(-bound, bound, generator=generator)
    layer.weight_hh.uniform_(-bound, bound, generator=generator)
    layer.bias.zero_()
    layer.forget_bias.fill_(1.0)
