"""Training memory in the accounting `autograd`: what PyTorch really keeps during one step, predicted without running it.

The facts about one step in which everything trains (`models/step.py`) say what each operation makes and what each node of the graph
keeps. Of them the plan leaves those nodes and edges behind which a parameter trains, and the step is gone through operation by
operation:

    forward    made and still held by the program, or kept by a node: lives
    backward   from the last node to the first: its gradients in flight, what it makes from them, and what is still kept; then it
               lets go of what it kept, and its parameters' gradients are added to the gradient vector
    update     parameters, gradients, state and what the optimizer needs beside them

| item | bytes |
|---|---|
| trainable_parameters | all elements of the tensors that train, and a copy of what trains of those that train in part |
| frozen_parameters | at full width: PyTorch quantises nothing |
| buffers, batch | as they are; targets are 8-byte classes |
| gradients | the gradient vector; whole gradients of tensors that train in part |
| optimizer_state | vectors as long as the trained elements: momentum 1, Adam 2, plain SGD 0 |
| saved_activations | what nodes keep, each storage once, parameters and batch left out |
| transient_activations | everything else that lives, gradients in flight included |
| update_buffers | only at the update: Adam 2 vectors, weight decay 1 |
| client_vectors | vectors of the strategy |

Two gradients of one activation are added in place where autograd does so. Not counted: what kernels allocate for themselves, the
allocator's own overhead, the data set, and PyTorch itself.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from fedtiny.costs.ledger import Ledger, Moment, Phase, ledger_of
from fedtiny.models.step import EdgeFacts, NodeFacts, StepFacts
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan

ACCOUNTING: Final = "autograd"
"""Name of this accounting in scenarios and outputs."""


class OptimizerMemory(Protocol):
    """What an optimizer keeps and needs, in vectors as long as what trains; the parts of `training.optimizer` are such."""

    @property
    def state_vectors(self) -> int:
        """Vectors that it keeps from step to step."""

    @property
    def state_bytes(self) -> int:
        """Bytes that it keeps beside them."""

    @property
    def update_vectors(self) -> int:
        """Vectors that it needs while it changes the parameters."""


def autograd_memory(
    summary: ModelSummary,
    step: StepFacts,
    plan: UpdatePlan,
    batch_size: int,
    *,
    optimizer: OptimizerMemory,
    client_vectors: int = 0,
) -> Ledger:
    """The memory that one training step of the parameters of `plan` takes, with the moments of the whole step.

    `step` are the facts about the network of `summary`. Raises ValueError for a batch without samples.
    """
    if batch_size < 1:
        raise ValueError(f"a batch has at least 1 sample, not {batch_size}")
    vector = step.element_bytes * plan.trainable_elements(summary)
    always = _parameters(summary, step, plan) | {
        "buffers": step.buffers,
        "gradients": vector + _partial_bytes(summary, step, plan),
        "optimizer_state": optimizer.state_vectors * vector + optimizer.state_bytes,
        "client_vectors": client_vectors * vector,
    }
    active = _Active(step, plan, batch_size)
    batch = step.batch.of(batch_size)
    moments = [
        Moment(layer, phase, always | {"batch": batch, "saved_activations": saved, "transient_activations": transient, "update_buffers": 0})
        for layer, phase, saved, transient in (*_by_layer(active.forward()), *_by_layer(active.backward()))
    ]
    update = {"batch": 0, "saved_activations": 0, "transient_activations": 0, "update_buffers": optimizer.update_vectors * vector}
    return ledger_of(ACCOUNTING, batch_size, (*moments, Moment("", "update", always | update)))


def _parameters(summary: ModelSummary, step: StepFacts, plan: UpdatePlan) -> dict[str, int]:
    trainable = sum(parameter.elements for parameter in summary.parameters if parameter.name in plan.trainable_names)
    copies = plan.trainable_elements(summary) - sum(
        parameter.elements
        for parameter in summary.parameters
        if parameter.name in plan.trainable_names and parameter.name not in plan.trained_channels
    )
    return {
        "trainable_parameters": step.element_bytes * (trainable + copies),
        "frozen_parameters": step.element_bytes * (summary.parameter_elements - trainable),
    }


def _partial_bytes(summary: ModelSummary, step: StepFacts, plan: UpdatePlan) -> int:
    return step.element_bytes * sum(parameter.elements for parameter in summary.parameters if parameter.name in plan.trained_channels)


_Use = tuple[str, Phase, int, int]
"""(layer, phase, bytes saved, other bytes) during one operation."""


def _by_layer(uses: Iterator[_Use]) -> Iterator[_Use]:
    """Of consecutive operations of one layer the one that takes most."""
    largest: _Use | None = None
    for use in uses:
        if largest is not None and use[:2] != largest[:2]:
            yield largest
            largest = None
        if largest is None or use[2] + use[3] > largest[2] + largest[3]:
            largest = use
    if largest is not None:
        yield largest


@dataclass
class _Gradient:
    """A storage that holds a gradient in flight, and how many hold it."""

    size: int
    view: bool = False
    holders: int = 0


@dataclass
class _Flight:
    """Gradients that wait for their node, by node and slot."""

    waiting: dict[tuple[int, int], _Gradient] = field(default_factory=dict)
    live: int = 0

    def hold(self, gradient: _Gradient) -> _Gradient:
        if gradient.holders == 0:
            self.live += gradient.size
        gradient.holders += 1
        return gradient

    def release(self, gradient: _Gradient) -> None:
        gradient.holders -= 1
        if gradient.holders == 0:
            self.live -= gradient.size

    def add(self, place: tuple[int, int], gradient: _Gradient) -> int:
        """Adds a gradient to what waits at a place; returns the bytes that live while it is added."""
        before = self.waiting.get(place)
        if before is None:
            self.waiting[place] = gradient
            return self.live
        if before.holders == 1 and not before.view:
            during = self.live
            self.release(gradient)
            return during
        total = self.hold(_Gradient(max(before.size, gradient.size)))
        during = self.live
        self.release(before)
        self.release(gradient)
        self.waiting[place] = total
        return during


class _Active:
    """The part of the graph that a plan leaves, for one batch size."""

    def __init__(self, step: StepFacts, plan: UpdatePlan, batch_size: int) -> None:
        self.step = step
        self.batch_size = batch_size
        self.edges: list[frozenset[int]] = []
        for node in step.nodes:
            self.edges.append(
                frozenset(position for position, edge in enumerate(node.edges) if edge is not None and self._exists(edge, plan))
            )
        self.kept = [
            [saved.storage for saved in node.saved if saved.edges & edges] for node, edges in zip(step.nodes, self.edges, strict=True)
        ]
        self.sizes = [storage.size.of(batch_size) for storage in step.storages]

    def _exists(self, edge: EdgeFacts, plan: UpdatePlan) -> bool:
        return edge.parameter in plan.trainable_names if edge.node is None else bool(self.edges[edge.node])

    def forward(self) -> Iterator[_Use]:
        """What lives during the operations of the forward pass."""
        kept_from: dict[int, int] = {}
        for node, kept in zip(self.step.nodes, self.kept, strict=True):
            for storage in kept:
                kept_from[storage] = min(node.made, kept_from.get(storage, node.made))
        count = len(self.step.layers)
        saved, other = [0] * (count + 1), [0] * (count + 1)
        for number, (made, size) in enumerate(zip(self.step.storages, self.sizes, strict=True)):
            start = kept_from.get(number, count)
            _add(saved, max(start, made.born), count, size)
            _add(other, made.born, min(start, count if made.died is None else made.died + 1), size)
        for layer, bytes_saved, bytes_other in zip(self.step.layers, _running(saved), _running(other), strict=False):
            yield layer, "forward", bytes_saved, bytes_other

    def backward(self) -> Iterator[_Use]:
        """What lives while the nodes turn gradients into gradients."""
        holders = Counter(storage for kept in self.kept for storage in kept)
        held = {number for number, storage in enumerate(self.step.storages) if storage.died is None and number not in holders}
        saved = sum(self.sizes[storage] for storage in holders)
        # the gradient of the loss, 1, is held like the loss until the end
        rest = sum(self.sizes[number] for number in held) + self.step.element_bytes
        flight = _Flight()
        last = len(self.step.nodes) - 1
        if not self.edges or not self.edges[last]:
            return
        flight.waiting[last, 0] = flight.hold(_Gradient(0))
        for number in range(last, -1, -1):
            node, edges = self.step.nodes[number], self.edges[number]
            if not edges:
                continue
            for during in self._node(number, node, edges, flight):
                yield node.layer, "backward", saved, rest + during
            for storage in self.kept[number]:
                holders[storage] -= 1
                if not holders[storage]:
                    saved -= self.sizes[storage]

    def _node(self, number: int, node: NodeFacts, edges: frozenset[int], flight: _Flight) -> Iterator[int]:
        incoming = {slot: flight.waiting.pop((number, slot)) for slot in range(_SLOTS) if (number, slot) in flight.waiting}
        temporaries = [one.size.of(self.batch_size) if one.edges & edges else 0 for one in node.temporaries]
        for operation in range(node.operations):
            yield flight.live + sum(
                size
                for one, size in zip(node.temporaries, temporaries, strict=True)
                if one.born <= operation and (one.died is None or operation <= one.died)
            )
        made: dict[int, _Gradient] = {}
        outgoing: list[tuple[EdgeFacts, _Gradient]] = []
        for position in sorted(edges):
            edge = node.edges[position]
            assert edge is not None, "only edges that exist are active"
            if edge.temporary is not None:
                gradient = made.setdefault(edge.temporary, _Gradient(temporaries[edge.temporary], edge.view))
            elif edge.passed is not None and edge.passed in incoming:
                gradient = incoming[edge.passed]
                gradient.view = gradient.view or edge.view
            else:
                gradient = _Gradient(0)
            outgoing.append((edge, flight.hold(gradient)))
        for gradient in incoming.values():
            flight.release(gradient)
        for edge, gradient in outgoing:
            if edge.node is None:
                flight.release(gradient)
            else:
                yield flight.add((edge.node, edge.slot), gradient)


_SLOTS = 3


def _add(changes: list[int], start: int, end: int, size: int) -> None:
    if start < end:
        changes[start] += size
        changes[end] -= size


def _running(changes: list[int]) -> Iterator[int]:
    total = 0
    for change in changes:
        total += change
        yield total
