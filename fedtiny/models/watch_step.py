"""Watches one training step of a network, in which everything trains, and writes down what autograd keeps and needs.

A batch of zeros goes forward and back twice, with 2 samples and with 3: what differs is what grows with the batch, so that the
facts hold for any batch. Values and gradients are not looked at; the network, its parameters and their gradients stay as they were.

Of the two ways to keep a storage they tell apart which one it is: while the forward pass is watched, autograd is given a token in the
place of every tensor that it wants to keep, so storages die when the program itself lets go of them.

What is not seen: memory that a kernel allocates for itself while it runs, such as the copies of MKL-DNN in other memory layouts.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from fedtiny.errors import ModelError
from fedtiny.models.measure import defines_loss
from fedtiny.models.operators import operator_of
from fedtiny.models.saved_conditions import SavedConditions, nodes_since, saved_names
from fedtiny.models.step import EdgeFacts, NodeFacts, SavedFacts, Size, StepFacts, StorageFacts, TemporaryFacts
from fedtiny.models.storage_watch import StorageWatch

_BATCHES = (2, 3)


def watch_step(network: nn.Module, name: str, input_shape: Sequence[int]) -> StepFacts:
    """The facts about a training step with inputs of shape (batch, *input_shape).

    Raises ModelError where the network cannot be trained on such inputs, or where what it does depends on the batch size.
    """
    with _gradients_everywhere(network), torch.random.fork_rng(devices=[]):
        try:
            batch = _batch_that_works(network, input_shape)
            with SavedConditions() as conditions:
                _loss(network, *batch(1))
            small, large = (_Watched(network, conditions, *batch(size)).step() for size in _BATCHES)
        except Exception as problem:  # a user's own network may raise anything
            raise ModelError(
                f"a training step of network {name} on inputs {(1, *input_shape)} cannot be watched: {type(problem).__name__}: {problem}"
            ) from problem
    if small.shape() != large.shape():
        raise ModelError(
            f"network {name} does other things with a batch of {_BATCHES[0]} than with one of {_BATCHES[1]}: use accounting tinytl"
        )
    return _facts(network, small, large, [sum(_bytes(one) for one in batch(size)) for size in _BATCHES])


Batch = tuple[Tensor, Tensor]


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


def _batch_that_works(network: nn.Module, input_shape: Sequence[int]) -> Callable[[int], Batch]:
    """Makes batches of zeros: targets are classes, or numbers where the network's own loss takes no classes."""
    dtype = next(network.parameters()).dtype

    def of_type(target_type: torch.dtype) -> Callable[[int], Batch]:
        return lambda size: (torch.zeros((size, *input_shape), dtype=dtype), torch.zeros(size, dtype=target_type))

    classes = of_type(torch.int64)
    if not defines_loss(network):
        return classes
    try:
        _loss(network, *classes(1))
    except Exception:  # noqa: BLE001  which exception a loss raises for classes is its own affair
        return of_type(dtype)
    return classes


def _loss(network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    own = getattr(network, "loss", None)
    loss: Tensor = own(inputs, targets) if callable(own) else nn.functional.cross_entropy(network(inputs), targets)
    return loss


@dataclass(frozen=True)
class _Token:
    """What autograd gets in the place of a tensor that it wants to keep."""

    number: int | None
    like: Tensor
    """The tensor itself where it is not counted, else one of the same form on no device."""


@dataclass
class _Node:
    """A node and what it did on the way back; storages by their numbers."""

    node: Node
    layer: str
    made: int
    saved: list[tuple[int, frozenset[int]]] = field(default_factory=list)
    incoming: list[int | None] = field(default_factory=list)
    outgoing: list[int | None] = field(default_factory=list)
    views: list[bool] = field(default_factory=list)
    started: int = 0
    operations: list[tuple[list[int], list[int]]] = field(default_factory=list)


class _Watched:
    """One step, as it is watched."""

    def __init__(self, network: nn.Module, conditions: SavedConditions, inputs: Tensor, targets: Tensor) -> None:
        self.network = network
        self.conditions = conditions
        self.layers: list[str] = []
        self.born: dict[int, int] = {}
        self.died: dict[int, int] = {}
        self.nodes: list[_Node] = []
        self.clock = 0
        self.made_forward = 0
        """How many storages the forward pass made."""
        self._batch = (inputs, targets)
        self._modules: list[nn.Module] = []
        self._paths = {module: path for path, module in network.named_modules()}
        self._made: list[int] = []
        self._unpacked: list[_Token] = []
        self._back: _Node | None = None
        self._over = False
        known = chain(network.parameters(), network.buffers(), self._batch)
        self.storages = StorageWatch(known, self._operation, self._death)

    def step(self) -> "_Watched":
        """Runs it."""
        with torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack), self._following_modules(), self.storages:
            loss = _loss(self.network, *self._batch)
            forward, self.made_forward = self.clock, len(self.storages.bytes)
            self._collect(loss)
            self._backward(loss)
            self.died = {number: clock for number, clock in self.died.items() if self.born[number] >= forward or clock < forward}
            self._over = True
        return self

    def shape(self) -> object:
        """All that must not depend on the batch size."""
        nodes = [(one.node.name(), one.saved, one.incoming, one.outgoing, one.operations) for one in self.nodes]
        return self.layers, self.born, self.died, nodes

    @contextmanager
    def _following_modules(self) -> Iterator[None]:
        handles = [module.register_forward_pre_hook(lambda module, _: self._modules.append(module)) for module in self._paths]
        handles += [module.register_forward_hook(lambda *_: (self._modules.pop(), None)[1]) for module in self._paths]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _layer(self, operation: str) -> str:
        if not self._modules:
            return "loss"
        owner = next((module for module in self._modules if operator_of(module) is not None), self._modules[-1])
        path = self._paths[owner]
        return path if path and not [*owner.children()] else f"{path}.{operation}".lstrip(".")

    def _operation(self, operation: str, read: list[int], returned: list[int]) -> None:
        for number in returned:
            self.born.setdefault(number, self.clock)
        self.clock += 1
        if self._back is not None:
            self._back.operations.append((read, returned))
        elif not self.made_forward:
            self.layers.append(self._layer(operation))
            self._made.append(torch._C._autograd._get_sequence_nr())

    def _death(self, number: int) -> None:
        if not self._over:
            self.died[number] = self.clock - 1

    def _pack(self, tensor: Tensor) -> _Token:
        number = self.storages.number(tensor)
        if number is None:
            return _Token(None, tensor)
        self.born.setdefault(number, self.clock)
        with torch._C._DisableTorchDispatch():
            return _Token(number, torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"))

    def _unpack(self, token: _Token) -> Tensor:
        self._unpacked.append(token)
        if token.number is None:
            return token.like
        with torch._C._DisableTorchDispatch():
            zeros = torch.empty_strided(token.like.shape, token.like.stride(), dtype=token.like.dtype).zero_()
        self.storages.ignore(zeros)
        return zeros

    def _collect(self, loss: Tensor) -> None:
        nodes = sorted(nodes_since(0, loss), key=lambda node: node._sequence_nr())
        collected = []
        for node in nodes:
            made = min(bisect_right(self._made, node._sequence_nr()), len(self._made) - 1)
            one = _Node(node, self.layers[made], made)
            for what in saved_names(node):
                self._unpacked.clear()
                getattr(node, what)
                edges = self.conditions.edges(node, what)
                one.saved += [(token.number, edges) for token in self._unpacked if token.number is not None]
            collected.append(one)
        self.nodes = collected

    def _backward(self, loss: Tensor) -> None:
        handles = []
        for one in self.nodes:
            handles.append(one.node.register_prehook(lambda gradients, one=one: self._start(one, gradients)))
            handles.append(one.node.register_hook(lambda outputs, _, one=one: self._finish(one, outputs)))
        torch.autograd.grad(loss, [*self.network.parameters()], allow_unused=True)
        for handle in handles:
            handle.remove()

    def _start(self, one: _Node, gradients: Sequence[Tensor | None]) -> None:
        one.incoming = self._numbers(gradients)
        one.started = self.clock
        self._back = one

    def _finish(self, one: _Node, gradients: Sequence[Tensor | None]) -> None:
        one.outgoing = self._numbers(gradients)
        one.views = [gradient is not None and gradient._is_view() for gradient in gradients]
        self._back = None

    def _numbers(self, gradients: Sequence[Tensor | None]) -> list[int | None]:
        return [None if gradient is None else self.storages.number(gradient) for gradient in gradients]


def _facts(network: nn.Module, small: _Watched, large: _Watched, batch_bytes: Sequence[int]) -> StepFacts:
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


def _node_facts(one: _Node, sizes: Sequence[Size], numbers: dict[Node, int], names: dict[int, str], watched: _Watched) -> NodeFacts:
    own = sorted({number for _, returned in one.operations for number in returned if watched.born[number] >= one.started})
    origins = [_made_from(edge, one.operations) for edge in one.outgoing]
    surviving = {edge for edge in one.outgoing if edge is not None}
    temporaries = [
        TemporaryFacts(
            size=sizes[number],
            born=watched.born[number] - one.started,
            died=None if number in surviving else watched.died.get(number, one.started) - one.started,
            edges=frozenset(position for position, origin in enumerate(origins) if number in origin),
        )
        for number in own
    ]
    edges: list[EdgeFacts | None] = []
    for (before, slot), gradient, view in zip(one.node.next_functions, one.outgoing, one.views, strict=False):
        parameter = names.get(id(getattr(before, "variable", None)))
        if before is None or (before not in numbers and parameter is None):
            edges.append(None)
            continue
        edges.append(
            EdgeFacts(
                node=numbers.get(before),
                slot=slot,
                parameter=parameter,
                temporary=own.index(gradient) if gradient in own else None,
                passed=one.incoming.index(gradient) if gradient is not None and gradient in one.incoming else None,
                view=view,
            )
        )
    kept = {number: frozenset().union(*(some for other, some in one.saved if other == number)) for number, _ in one.saved}
    saved = tuple(SavedFacts(number, some) for number, some in kept.items())
    return NodeFacts(one.node.name(), one.layer, one.made, tuple(edges), saved, len(one.operations), tuple(temporaries))


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
