"""Network augmentation: a tiny network is trained inside wider ones, whose leading channels it is (NetAug).

    L_aug = L(W_t) + alpha L([W_t, W_i])

One optimizer step takes the gradient of the tiny network ("min") and of one wider network, drawn anew for every step, on the same
batch, and adds them up. Wider networks are slices of the largest one: a tensor of a smaller network is the leading part of the largest
one's in every dimension, so weights are shared wherever they overlap. Only the tiny network is kept: it costs nothing more to run.

Batch normalisations share their statistics with wider networks, so those of the tiny one are estimated anew afterwards (released code,
README note 4); group norms have none, and their widths are rounded so that groups of eight stay groups (ours).

Channels inside a block are put in the order of the L1 norm of the projection's columns that read them, at the beginning of every epoch
while the width is augmented; the largest network's function does not change. Moments of the optimizer are not put in order with them
(released code). Where a group norm stands between them, whole groups change places (ours).

Source: Cai, Gan, Lin, Han: Network Augmentation for Tiny Deep Learning. ICLR 2022, arXiv 2110.08890; github.com/mit-han-lab/tinyml, netaug.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from fedtiny.errors import ModelError
from fedtiny.models.augmentation import NetAug
from fedtiny.models.augmented_architecture import Choice, augmented, largest_choice, random_choice, tiny_choice
from fedtiny.models.folding import batch_normalized_twin, is_folded
from fedtiny.models.group_norm import GroupNormalization
from fedtiny.models.initialization import initialize
from fedtiny.models.inverted_bottleneck import InvertedBottleneck
from fedtiny.models.mobile_network import MobileNetwork

_GROUP: Final = 8
_MOST_TEMPLATES: Final = 512
_CONVOLUTION_DIMENSIONS: Final = 4

Loss = Callable[[Tensor], Tensor]
"""Of logits (batch, classes), a scalar."""


@dataclass
class AugmentedNetwork:
    """The largest network, and every smaller one as leading slices of its tensors.

    `largest` holds all values; `choose` gives the logits of the network that a choice makes of it.
    """

    tiny: MobileNetwork
    augmentation: NetAug
    largest: nn.Module
    batch_normalized: bool
    _templates: dict[Choice, nn.Module] = field(default_factory=dict)

    @property
    def own(self) -> Choice:
        """The choice that is the tiny network."""
        return tiny_choice(self.tiny.architecture)

    def draw(self, generator: np.random.Generator, *, widths: bool = True) -> Choice:
        """A choice at random; without `widths`, of expansions alone."""
        return random_choice(self.tiny.architecture, self.augmentation, generator, widths=widths)

    def choose(self, choice: Choice, inputs: Tensor) -> Tensor:
        """Logits (batch, classes) of a smaller network. In training mode, it updates the statistics of its batch normalisations."""
        template = self._template(choice)
        template.train(self.largest.training)
        return cast(Tensor, functional_call(template, self.slices(template), (inputs,)))

    def slices(self, template: nn.Module) -> dict[str, Tensor]:
        """For every tensor of a smaller network, the leading part of the largest one's; what is trained is contiguous."""
        parameters, buffers = dict(self.largest.named_parameters()), dict(self.largest.named_buffers())
        trained = {name: _leading(parameters[name], value).contiguous() for name, value in template.named_parameters()}
        return trained | {name: _leading(buffers[name], value) for name, value in template.named_buffers()}

    @torch.no_grad()
    def export(self) -> nn.Module:
        """The tiny network with its present values, batch-normalised if the augmented one is."""
        alone = _network(self.tiny, self.own, self.batch_normalized)
        alone.load_state_dict({name: value.clone() for name, value in self.slices(alone).items()})
        return alone

    @torch.no_grad()
    def take(self, tiny: nn.Module) -> None:
        """Sets the tiny network's part of all values."""
        for name, value in tiny.state_dict().items():
            _leading(self.largest.state_dict()[name], value).copy_(value)

    def _template(self, choice: Choice) -> nn.Module:
        if choice not in self._templates:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.pop(next(iter(self._templates)))
            self._templates[choice] = _network(self.tiny, choice, self.batch_normalized)
        return self._templates[choice]


def augmented_network(tiny: nn.Module, augmentation: NetAug, generator: torch.Generator) -> AugmentedNetwork:
    """The largest network around a tiny one, whose values it keeps; the others are drawn from `generator`.

    Raises ModelError where the network is no mobile network in floating point.
    """
    if not isinstance(tiny, MobileNetwork):
        raise ModelError("network augmentation is of mobile networks (inverted bottlenecks in floating point): leave out netaug")
    normalized = is_folded(tiny)
    largest = _network(tiny, largest_choice(tiny.architecture, augmentation), normalized=False)
    initialize(largest, generator)
    largest = batch_normalized_twin(largest) if normalized else largest
    made = AugmentedNetwork(tiny, augmentation, largest.to(next(tiny.parameters()).dtype), normalized)
    made.take(batch_normalized_twin(tiny) if normalized else tiny)
    return made


def netaug_backward(network: AugmentedNetwork, inputs: Tensor, loss: Loss, choice: Choice) -> float:
    """Adds the gradients of L(W_t) + alpha L([W_t, W_i]) to those of the largest network; the tiny network's loss."""
    own = loss(network.choose(network.own, inputs))
    own.backward()  # type: ignore[no-untyped-call]  # torch's stubs
    if network.augmentation.alpha:
        wider = network.augmentation.alpha * loss(network.choose(choice, inputs))
        wider.backward()  # type: ignore[no-untyped-call]
    return float(own.detach())


@torch.no_grad()
def sort_channels(network: nn.Module) -> None:
    """Puts the channels inside every block that expands in the order of the L1 norm of the projection's columns, the largest first; equals
    stay as they were. The network computes what it did."""
    for block in network.modules():
        if isinstance(block, InvertedBottleneck) and hasattr(block.main, "expand"):
            _sort_block(block)


def importances(block: InvertedBottleneck) -> Tensor:
    """The L1 norm of every column of a block's projection, (channels inside the block,)."""
    weight = _convolution_weight(block, "project")
    return weight.abs().sum(dim=(0, 2, 3))


def _sort_block(block: InvertedBottleneck) -> None:
    values = importances(block)
    norm = next((module for module in cast(nn.Module, block.main.depthwise).modules() if isinstance(module, GroupNormalization)), None)
    size = 1 if norm is None else norm.num_channels // norm.num_groups
    groups = torch.argsort(values.view(-1, size).sum(1), descending=True, stable=True)
    order = (groups[:, None] * size + torch.arange(size)).reshape(-1)
    for name in ("expand", "depthwise"):
        for value in cast(nn.Module, getattr(block.main, name)).state_dict().values():
            if value.ndim:  # batches that a normalisation has counted are no channels
                value.copy_(value[order])
    weight = _convolution_weight(block, "project")
    weight.copy_(weight[:, order])


def _convolution_weight(block: InvertedBottleneck, name: str) -> Tensor:
    values = cast(nn.Module, getattr(block.main, name)).state_dict().values()
    return cast(Tensor, next(value for value in values if value.ndim == _CONVOLUTION_DIMENSIONS))


def _network(tiny: MobileNetwork, choice: Choice, normalized: bool) -> nn.Module:
    folded = is_folded(tiny)
    shape = augmented(tiny.architecture, choice, divisor=1 if folded else _GROUP)
    network = MobileNetwork(shape, tiny.channels, tiny.classes, lite_residual=tiny.lite_residual, unit=tiny.unit)
    network = network.to(next(tiny.parameters()).dtype)
    return batch_normalized_twin(network) if normalized else network


def _leading(largest: Tensor, like: Tensor) -> Tensor:
    """The leading part of a tensor, of another one's shape."""
    return largest[tuple(slice(size) for size in like.shape)]


def cross_entropy_of(targets: Tensor) -> Loss:
    """The mean cross-entropy of logits."""

    def loss(logits: Tensor) -> Tensor:
        return functional.cross_entropy(logits, targets)

    return loss
