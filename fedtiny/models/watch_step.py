"""Watches one training step of a network, in which everything trains, and writes down what autograd keeps and needs.

A batch of zeros goes forward and back twice, with 2 samples and with 3: what differs is what grows with the batch, so that the
facts hold for any batch. Values and gradients are not looked at; the network, its parameters and their gradients stay as they were.

What is not seen: memory that a kernel allocates for itself while it runs, such as the copies of MKL-DNN in other memory layouts.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from fedtiny.errors import ModelError
from fedtiny.models.measure import defines_loss
from fedtiny.models.saved_conditions import SavedConditions
from fedtiny.models.step import EdgeFacts, NodeFacts, SavedFacts, Size, StepFacts, StorageFacts, TemporaryFacts
from fedtiny.models.step_recording import RecordedNode, StepRecording, mean_loss

_BATCHES = (2, 3)
Batch = tuple[Tensor, Tensor]
"""Inputs (batch, channels, height, width) and targets (batch,)."""


def watch_step(network: nn.Module, name: str, input_shape: Sequence[int]) -> StepFacts:
    """The facts about a training step with inputs of shape (batch, *input_shape).

    Raises ModelError where the network cannot be trained on such inputs, or where what it does depends on the batch size.
    """
    with _gradients_everywhere(network), torch.random.fork_rng(devices=[]):
        try:
            batch = batches_of_zeros(network, input_shape)
            with SavedConditions() as conditions:
                mean_loss(network, *batch(1))
            small, large = (StepRecording(network, conditions, *batch(size)).run() for size in _BATCHES)
        except Exception as problem:  # a user's own network may raise anything
            raise ModelError(
                f"a training step of network {name} on inputs {(1, *input_shape)} cannot be watched: {type(problem).__name__}: {problem}"
            ) from problem
    if small.shape() != large.shape():
        raise ModelError(
            f"network {name} does other things with a batch of {_BATCHES[0]} than with one of {_BATCHES[1]}: use accounting tinytl"
        )
    return _facts(network, small, large, [sum(_bytes(one) for one in batch(size)) for size in _BATCHES])


def batches_of_zeros(network: nn.Module, input_shape: Sequence[int]) -> Callable[[int], Batch]:
    """What makes batches of so many zeros: targets are classes, or numbers where the network's own loss takes no classes."""
    dtype = next(network.parameters()).dtype

    def of_type(target_type: torch.dtype) -> Callable[[int], Batch]:
        return lambda size: (torch.zeros((size, *input_shape), dtype=dtype), torch.zeros(size, dtype=target_type))

    classes = of_type(torch.int64)
    if not defines_loss(network):
        return classes
    try:
        mean_loss(network, *classes(1))
    except Exception:  # noqa: BLE001  which exception a loss raises for classes is its own affair
        return of_type(dtype)
    return classes


@contextmanager
def _gradients_everywhere(network: nn.Module) -> Iterator[None]:
    flags = {parameter: parameter.requires_grad for parameter in network.parameters()}
    try:
        network.requires_grad_()
        with torch.enable_grad():
            yield
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)


def _facts(network: nn.Module, small: StepRecording, large: StepRecording, batch_bytes: Sequence[int]) -> StepFacts:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    numbers = {one.node: number for number, one in enumerate(small.nodes)}
    sizes = [_size(few, many) for few, many in zip(small.storages.bytes, large.storages.bytes, strict=True)]
    return StepFacts(
        element_bytes=next(network.parameters()).element_size(),
        buffers=sum(_bytes(buffer) for buffer in network.buffers()),
        batch=_size(*batch_bytes),
        layers=tuple(small.layers),
        storages=tuple(StorageFacts(sizes[number], small.born[number], small.died.get(number)) for number in range(small.made_forward)),
        nodes=tuple(_node_facts(one, sizes, numbers, names, small) for one in small.nodes),
    )


def _node_facts(
    one: RecordedNode, sizes: Sequence[Size], numbers: dict[Node, int], names: dict[int, str], recorded: StepRecording
) -> NodeFacts:
    own = sorted({number for _, returned in one.operations for number in returned if recorded.born[number] >= one.started})
    kept = {number: frozenset().union(*(some for other, some in one.saved if other == number)) for number, _ in one.saved}
    return NodeFacts(
        name=one.node.name(),
        layer=one.layer,
        made=one.made,
        edges=_edges(one, own, numbers, names),
        saved=tuple(SavedFacts(number, some) for number, some in kept.items()),
        operations=len(one.operations),
        temporaries=_temporaries(one, own, sizes, recorded),
    )


def _temporaries(one: RecordedNode, own: Sequence[int], sizes: Sequence[Size], recorded: StepRecording) -> tuple[TemporaryFacts, ...]:
    origins = [_made_from(gradient, one.operations) for gradient in one.outgoing]
    return tuple(
        TemporaryFacts(
            size=sizes[number],
            born=recorded.born[number] - one.started,
            died=None if number in one.outgoing else recorded.died.get(number, one.started) - one.started,
            edges=frozenset(position for position, origin in enumerate(origins) if number in origin),
        )
        for number in own
    )


def _edges(one: RecordedNode, own: Sequence[int], numbers: dict[Node, int], names: dict[int, str]) -> tuple[EdgeFacts | None, ...]:
    edges: list[EdgeFacts | None] = []
    for (before, slot), gradient, view in zip(one.node.next_functions, one.outgoing, one.views, strict=False):
        parameter = names.get(id(getattr(before, "variable", None)))
        if before is None or (before not in numbers and parameter is None):
            edges.append(None)
            continue
        temporary = own.index(gradient) if gradient in own else None
        passed = one.incoming.index(gradient) if gradient is not None and gradient in one.incoming else None
        edges.append(EdgeFacts(numbers.get(before), slot, parameter, temporary, passed, view))
    return tuple(edges)


def _made_from(gradient: int | None, operations: Sequence[tuple[list[int], list[int]]]) -> set[int]:
    """The storages that a gradient is made from, itself among them."""
    origin = set() if gradient is None else {gradient}
    for read, returned in reversed(operations):
        if origin & set(returned):
            origin |= set(read)
    return origin


def _size(small: int, large: int) -> Size:
    per_sample = (large - small) // (_BATCHES[1] - _BATCHES[0])
    return Size(small - _BATCHES[0] * per_sample, per_sample)


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
