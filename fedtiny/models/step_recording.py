"""One training step as it is recorded: its operations, its storages, and the nodes of autograd's graph with what they did.

Which storages the program itself holds, and which autograd keeps, must be told apart. So while the forward pass runs, autograd is given
a token in the place of every tensor that it wants to keep, and storages die when the program lets go of them; on the way back a token
turns into zeros of the same form. So values and gradients mean nothing here.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from fedtiny.models.operators import operator_of
from fedtiny.models.saved_conditions import SavedConditions, nodes_since, saved_names
from fedtiny.models.storage_watch import StorageWatch


def mean_loss(network: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """The loss that training a network minimises: its own, or the cross-entropy of its logits."""
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
class RecordedNode:
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


class StepRecording:
    """One step of a network on a batch; `run` runs it and fills in the rest. Storages go by their numbers, operations by their clock."""

    def __init__(self, network: nn.Module, conditions: SavedConditions, inputs: Tensor, targets: Tensor) -> None:
        self.network = network
        self.conditions = conditions
        self.layers: list[str] = []
        self.born: dict[int, int] = {}
        self.died: dict[int, int] = {}
        self.nodes: list[RecordedNode] = []
        self.clock = 0
        self.made_forward = 0
        """How many storages the forward pass made."""
        self._batch = (inputs, targets)
        self._modules: list[nn.Module] = []
        self._paths = {module: path for path, module in network.named_modules()}
        self._made: list[int] = []
        self._unpacked: list[_Token] = []
        self._back: RecordedNode | None = None
        self._over = False
        known = chain(network.parameters(), network.buffers(), self._batch)
        self.storages = StorageWatch(known, self._operation, self._death)

    def run(self) -> "StepRecording":
        """Runs it."""
        with torch.autograd.graph.saved_tensors_hooks(self._pack, self._unpack), self._following_modules(), self.storages:
            loss = mean_loss(self.network, *self._batch)
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
            one = RecordedNode(node, self.layers[made], made)
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

    def _start(self, one: RecordedNode, gradients: Sequence[Tensor | None]) -> None:
        one.incoming = self._numbers(gradients)
        one.started = self.clock
        self._back = one

    def _finish(self, one: RecordedNode, gradients: Sequence[Tensor | None]) -> None:
        one.outgoing = self._numbers(gradients)
        one.views = [gradient is not None and gradient._is_view() for gradient in gradients]
        self._back = None

    def _numbers(self, gradients: Sequence[Tensor | None]) -> list[int | None]:
        return [None if gradient is None else self.storages.number(gradient) for gradient in gradients]
