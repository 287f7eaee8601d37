"""Layout: which elements of which tensors train, and where each of them lies in the flat vector of all trainable values.

A plan says how many input channels of a weight train; which ones depends on the values of that weight: those whose slices
have the largest L2 norm, chosen once, before training (Lin et al.: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv
2206.15472, released code). Input channels lie along axis 1 of a weight (out, in, height, width), and along axis 0 of a depthwise
one (channels, 1, height, width), whose channels are its own inputs.

Devices of one federation may train different elements. Then the flat vector is that of the union of their layouts, and a
device's own elements are positions in it. No torch here.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fedtiny.models.summary import LayerFacts, ModelSummary
from fedtiny.updates.plan import UpdatePlan

Positions = np.ndarray
"""Positions in a flat vector, shape (elements,), int64, ascending within each tensor."""


@dataclass(frozen=True)
class TrainableTensor:
    """A tensor that trains, whole or on some of its channels."""

    name: str
    shape: tuple[int, ...]
    """The shape of the whole tensor."""
    axis: int = 0
    """The axis along which channels are chosen."""
    channels: tuple[int, ...] | None = None
    """The channels that train, ascending; None: all of the tensor."""

    @property
    def trained_shape(self) -> tuple[int, ...]:
        """The shape of what trains."""
        if self.channels is None:
            return self.shape
        return (*self.shape[: self.axis], len(self.channels), *self.shape[self.axis + 1 :])

    @property
    def elements(self) -> int:
        """How many numbers train."""
        return math.prod(self.trained_shape)

    def positions(self) -> Positions:
        """Where the trained elements lie in the flattened whole tensor, shape (elements,)."""
        whole = np.arange(math.prod(self.shape)).reshape(self.shape)
        chosen = whole if self.channels is None else np.take(whole, self.channels, axis=self.axis)
        return chosen.reshape(-1)


@dataclass(frozen=True)
class Layout:
    """The tensors that train, in the order in which they lie in the flat vector."""

    tensors: tuple[TrainableTensor, ...]

    @property
    def elements(self) -> int:
        """The length of the flat vector."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def names(self) -> frozenset[str]:
        """The names of the tensors."""
        return frozenset(tensor.name for tensor in self.tensors)

    def positions_in(self, other: "Layout") -> Positions:
        """Where this layout's elements lie in the flat vector of `other`, shape (elements,).

        Raises ValueError where the other layout lacks one of them.
        """
        starts, start = {}, 0
        for tensor in other.tensors:
            starts[tensor.name] = (start, tensor)
            start += tensor.elements
        found = []
        for tensor in self.tensors:
            if tensor.name not in starts:
                raise ValueError(f"tensor {tensor.name} does not train in the other layout")
            first, theirs = starts[tensor.name]
            found.append(first + _positions_among(tensor, theirs))
        return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class OwnElements:
    """What one device trains of a flat vector that several devices share."""

    names: frozenset[str]
    """The tensors it trains, whole or in part: those that need a gradient."""
    positions: Positions
    """Where its elements lie in the shared vector."""


def own_elements(layout: Layout, shared: Layout) -> OwnElements:
    """What a device with this layout trains of the flat vector of `shared`, which must hold all of it."""
    return OwnElements(layout.names, layout.positions_in(shared))


def _positions_among(tensor: TrainableTensor, theirs: TrainableTensor) -> Positions:
    if tensor == theirs:
        return np.arange(tensor.elements)
    place = np.full(math.prod(theirs.shape), -1)
    place[theirs.positions()] = np.arange(theirs.elements)
    positions: Positions = place[tensor.positions()]
    if (positions < 0).any():
        raise ValueError(f"some channels of tensor {tensor.name} do not train in the other layout")
    return positions


def layout_of(plan: UpdatePlan, summary: ModelSummary, values: Mapping[str, np.ndarray]) -> Layout:
    """The elements that a plan trains, given the network's values by name: of a weight with n trained channels the n with the
    largest L2 norms, of equal ones the first."""
    facts = {parameter.name: (layer, parameter) for layer in reversed(summary.layers) for parameter in layer.parameters}
    counts = dict(plan.channels)
    tensors = []
    for name in plan.trainable:
        layer, parameter = facts[name]
        if name in counts:
            axis = channel_axis(layer, parameter.shape)
            tensors.append(TrainableTensor(name, parameter.shape, axis, largest_channels(values[name], axis, counts[name])))
        else:
            tensors.append(TrainableTensor(name, parameter.shape))
    return Layout(tuple(tensors))


def channel_axis(layer: LayerFacts, shape: Sequence[int]) -> int:
    """The axis of a weight that stands for the channels of its layer's input."""
    return 0 if layer.groups > 1 and shape[1] == 1 else 1


def largest_channels(weight: np.ndarray, axis: int, count: int) -> tuple[int, ...]:
    """The `count` indices along `axis` whose slices of the weight have the largest L2 norms, ascending; of equal ones the first."""
    others = tuple(other for other in range(weight.ndim) if other != axis)
    norms = np.sqrt(np.square(weight.astype(np.float64)).sum(axis=others))
    return tuple(sorted(np.argsort(-norms, kind="stable")[:count].tolist()))


def union(layouts: Iterable[Layout], order: Sequence[str]) -> Layout:
    """The layout of every element that any of these trains; `order` names the model's parameters in its order."""
    merged: dict[str, TrainableTensor] = {}
    for layout in layouts:
        for tensor in layout.tensors:
            known = merged.get(tensor.name)
            merged[tensor.name] = tensor if known is None else _merged(known, tensor)
    return Layout(tuple(merged[name] for name in order if name in merged))


def _merged(first: TrainableTensor, second: TrainableTensor) -> TrainableTensor:
    if first.channels is None or second.channels is None:
        return TrainableTensor(first.name, first.shape)
    channels = tuple(sorted({*first.channels, *second.channels}))
    return TrainableTensor(first.name, first.shape, first.axis, channels)
