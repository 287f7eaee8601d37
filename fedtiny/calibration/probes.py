"""The training steps that a calibration times: small networks of our own, each of layers of one class of operators or two, in several
sizes, and blocks of such layers as networks for small devices have them. None is a network of the catalog.

Every network is taken in three ways, which tell the passes apart (costs/compute.py): all of it trains (forward, dX and dW), its biases
train (forward and dX), its head trains (forward alone).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from fedtiny.models.group_norm import group_norm
from fedtiny.models.inverted_bottleneck import InvertedBottleneck
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.lstm import Lstm
from fedtiny.models.measure import summarize
from fedtiny.models.mobile_architecture import BlockShape
from fedtiny.models.summary import ModelSummary
from fedtiny.training.local import FlatNetwork
from fedtiny.updates.plan import UpdatePlan, in_head, plan_where

CLASSES: Final = 10
_RATE: Final = 1e-4

Builder = Callable[[], nn.Module]


@dataclass(frozen=True)
class ProbeNetwork:
    """A network to time, and with which batches."""

    name: str
    build: Builder
    """Makes it up to its head; what that leaves is averaged over the map and goes to a linear head."""
    shape: tuple[int, int, int]
    """Channels, height and width of its input."""
    features: int
    """What reaches the head."""
    batches: tuple[int, ...]


@dataclass(frozen=True)
class Probe:
    """A step to time, and all that the model of time asks about it."""

    name: str
    summary: ModelSummary
    plan: UpdatePlan
    batch_size: int
    step: Callable[[], object]
    """Takes one training step: forward, backward, update."""


class SelfAttention(nn.Module):
    """Attention of one head with nothing around it: softmax(Q K^T / sqrt(width)) V, of inputs (batch, 1, tokens, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.projected = nn.Linear(width, 3 * width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (batch, 1, tokens, width) to the same shape."""
        query, key, value = self.projected(inputs).chunk(3, dim=-1)
        weights = torch.softmax(query @ key.transpose(-1, -2) / self.width**0.5, dim=-1)
        attended: Tensor = weights @ value
        return attended


class _Whole(nn.Module):
    """A body, the mean over the map (or over the time steps or tokens), and the head."""

    def __init__(self, body: nn.Module, features: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(features, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.body(inputs)
        if found.dim() == 4:
            found = found.mean((1, 2)) if found.shape[-1] == self.head.in_features else found.mean((2, 3))
        logits: Tensor = self.head(found)
        return logits


def _repeated(count: int, layer: Callable[[], nn.Module]) -> Builder:
    return lambda: nn.Sequential(*(layer() for _ in range(count)))


def _linear(width: int, count: int) -> Builder:
    return _repeated(count, lambda: nn.Sequential(nn.Linear(width, width), nn.ReLU()))


def _convolution(channels: int, kernel: int, groups: int, count: int) -> Builder:
    return _repeated(count, lambda: nn.Sequential(*_unit(channels, channels, kernel, groups), nn.ReLU()))


def _pointwise(narrow: int, wide: int, count: int) -> Builder:
    return _repeated(count, lambda: nn.Sequential(*_unit(narrow, wide, 1), nn.ReLU(), *_unit(wide, narrow, 1)))


def _unit(inputs: int, outputs: int, kernel: int, groups: int = 1, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    # without a bias, for whose gradient alone torch computes that of the whole weight, too
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return convolution, group_norm(outputs)


def _normed(channels: int, count: int) -> Builder:
    return _repeated(count, lambda: nn.Sequential(group_norm(channels), nn.ReLU6()))


def _strided(channels: int, wide: int) -> Builder:
    first, second = (channels, wide, 3, 1, 2), (wide, 2 * wide, 3, 1, 2)
    return lambda: nn.Sequential(*_unit(*first), nn.ReLU(), *_unit(*second), nn.ReLU())


def _blocks(width: int, wide: int, kernel: int, count: int, *, lite: bool) -> Builder:
    shape = BlockShape(in_channels=width, mid_channels=wide, out_channels=width, kernel=kernel, stride=1, has_expand=True, residual=True)
    return _repeated(count, lambda: InvertedBottleneck(shape, LiteResidual(width, width, kernel=3, stride=1) if lite else None))


def _recurrent(inputs: int, hidden: int) -> Builder:
    return lambda: nn.Sequential(nn.Flatten(1, 2), Lstm(inputs, hidden, sequence=False))


NETWORKS: Final[tuple[ProbeNetwork, ...]] = (
    ProbeNetwork("linear 64", _linear(64, 4), (1, 1, 64), 64, (1, 16)),
    ProbeNetwork("linear 256", _linear(256, 3), (1, 1, 256), 256, (1, 16, 64)),
    ProbeNetwork("linear 1024", _linear(1024, 2), (1, 1, 1024), 1024, (1, 16)),
    ProbeNetwork("linear 192 on tokens", _linear(192, 4), (1, 49, 192), 192, (4, 16)),
    ProbeNetwork("convolution 3x3 of 8", _convolution(8, 3, 1, 3), (8, 32, 32), 8, (1, 4, 16)),
    ProbeNetwork("convolution 3x3 of 16", _convolution(16, 3, 1, 3), (16, 48, 48), 16, (1, 4, 16)),
    ProbeNetwork("convolution 3x3 of 64", _convolution(64, 3, 1, 3), (64, 14, 14), 64, (1, 4, 16)),
    ProbeNetwork("convolution 3x3 of 192", _convolution(192, 3, 1, 2), (192, 7, 7), 192, (1, 4, 16)),
    ProbeNetwork("convolution 3x3 of 3 to 24 to 48", _strided(3, 24), (3, 80, 80), 48, (1, 4, 16)),
    ProbeNetwork("convolution 1x1 of 16 and 80", _pointwise(16, 80, 2), (16, 32, 32), 16, (1, 4, 16)),
    ProbeNetwork("convolution 1x1 of 24 and 96", _pointwise(24, 96, 2), (24, 20, 20), 24, (1, 4, 16)),
    ProbeNetwork("convolution 1x1 of 48 and 240", _pointwise(48, 240, 2), (48, 10, 10), 48, (1, 4, 16)),
    ProbeNetwork("convolution 1x1 of 120 and 480", _pointwise(120, 480, 2), (120, 5, 5), 120, (1, 4, 16)),
    ProbeNetwork("convolution 1x1 of 256 and 1024", _pointwise(256, 1024, 1), (256, 3, 3), 256, (1, 4, 16)),
    ProbeNetwork("depthwise 3x3 of 40", _convolution(40, 3, 40, 3), (40, 40, 40), 40, (1, 4, 16)),
    ProbeNetwork("depthwise 5x5 of 120", _convolution(120, 5, 120, 3), (120, 20, 20), 120, (1, 4, 16)),
    ProbeNetwork("depthwise 3x3 of 240", _convolution(240, 3, 240, 3), (240, 10, 10), 240, (1, 4, 16)),
    ProbeNetwork("depthwise 7x7 of 480", _convolution(480, 7, 480, 3), (480, 5, 5), 480, (1, 4, 16)),
    ProbeNetwork("2 groups 3x3 of 24", _convolution(24, 3, 2, 3), (24, 20, 20), 24, (1, 4, 16)),
    ProbeNetwork("2 groups 3x3 of 96", _convolution(96, 3, 2, 3), (96, 7, 7), 96, (1, 4, 16)),
    ProbeNetwork("8 groups 3x3 of 128", _convolution(128, 3, 8, 2), (128, 10, 10), 128, (1, 4, 16)),
    ProbeNetwork("group norm and ReLU6 of 16", _normed(16, 4), (16, 48, 48), 16, (1, 4, 16)),
    ProbeNetwork("group norm and ReLU6 of 96", _normed(96, 4), (96, 12, 12), 96, (1, 4, 16)),
    ProbeNetwork("group norm and ReLU6 of 320", _normed(320, 4), (320, 3, 3), 320, (1, 4, 16)),
    ProbeNetwork("LSTM of 48", _recurrent(12, 48), (1, 30, 12), 48, (1, 16)),
    ProbeNetwork("LSTM of 200", _recurrent(40, 200), (1, 30, 40), 200, (1, 16)),
    ProbeNetwork("attention 96", _repeated(2, lambda: SelfAttention(96)), (1, 64, 96), 96, (1, 4, 16)),
    ProbeNetwork("attention 192", _repeated(2, lambda: SelfAttention(192)), (1, 128, 192), 192, (1, 4)),
    ProbeNetwork("blocks 16 and 64", _blocks(16, 64, 3, 2, lite=False), (16, 40, 40), 16, (1, 4, 16)),
    ProbeNetwork("blocks 24 and 120", _blocks(24, 120, 5, 3, lite=False), (24, 20, 20), 24, (1, 4, 16)),
    ProbeNetwork("blocks 56 and 280", _blocks(56, 280, 5, 3, lite=False), (56, 10, 10), 56, (1, 4, 16)),
    ProbeNetwork("blocks 112 and 560", _blocks(112, 560, 3, 3, lite=False), (112, 4, 4), 112, (1, 4, 16)),
    ProbeNetwork("blocks 24 and 96 with lite residual", _blocks(24, 96, 3, 3, lite=True), (24, 24, 24), 24, (1, 4, 16)),
    ProbeNetwork("blocks 80 and 320 with lite residual", _blocks(80, 320, 5, 3, lite=True), (80, 6, 6), 80, (1, 4, 16)),
)


def probes(networks: tuple[ProbeNetwork, ...] = NETWORKS) -> Iterator[Probe]:
    """Every step to time; the values of all networks are drawn from a fixed seed."""
    for network in networks:
        for choice in _CHOICES:
            module, generator = _Whole(network.build(), network.features), torch.Generator().manual_seed(0)
            _draw(module, generator)
            summary = summarize(module, network.name, network.shape, CLASSES)
            plan = choice(summary)
            flat = FlatNetwork(module, plan.trainable)
            for batch_size in network.batches:
                yield Probe(network.name, summary, plan, batch_size, _step(flat, (batch_size, *network.shape), generator))


def _draw(module: nn.Module, generator: torch.Generator) -> None:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)


def _step(flat: FlatNetwork, shape: tuple[int, int, int, int], generator: torch.Generator) -> Callable[[], object]:
    inputs = torch.randn(shape, generator=generator)
    targets = torch.randint(0, CLASSES, shape[:1], generator=generator)

    def step() -> None:
        flat.fresh_backward(inputs, targets)
        flat.descend(_RATE)

    return step


def _full(summary: ModelSummary) -> UpdatePlan:
    return plan_where("full", summary, lambda _layer, _parameter: True)


def _biases(summary: ModelSummary) -> UpdatePlan:
    return plan_where("bias", summary, lambda layer, parameter: parameter.role == "bias" or in_head(layer, parameter))


def _last(summary: ModelSummary) -> UpdatePlan:
    return plan_where("last", summary, in_head, requires_backward=False)


_CHOICES: Final[tuple[Callable[[ModelSummary], UpdatePlan], ...]] = (_full, _biases, _last)
