"""What one training step really keeps and needs, measured while it runs: the twin of the accounting `autograd`.

One step is taken first, so that the optimizer's state exists. Then one backward pass and one update are watched:

- hooks on the tensors that autograd saves say which storages it keeps, each counted once; parameters, buffers and the batch are told
  apart by their storages;
- the profiler reports every allocation and every release of torch's allocator, so the memory at the peak is what it really was;
- parameters, gradients and the optimizer's state are what their storages hold.

What an operation allocates and releases within itself, such as the copies of MKL-DNN in another memory layout, is its workspace: it
depends on the machine and is reported beside the ledger, not in it. Weights change in the course of this, as in any training step.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile, record_function

from fedtiny.training.local import FlatNetwork
from fedtiny.training.optimizer import Optimizer
from fedtiny.training.stepper import torch_optimizer

Phase = Literal["forward", "backward", "update"]
_SAVED: Final = "fedtiny saves "


@dataclass(frozen=True)
class MeasuredMemory:
    """What was measured in one step."""

    phases: Mapping[Phase, Mapping[str, int]]
    """Bytes by item at the peak of the forward pass, of the backward pass and of the update; the items of `costs/ledger.py`."""
    saved_bytes: int
    """All that autograd keeps when the forward pass ends."""
    workspace_bytes: int
    """The most that operations allocated for themselves while they ran."""

    @property
    def items(self) -> Mapping[str, int]:
        """The items at the peak of the step."""
        return max(self.phases.values(), key=lambda items: sum(items.values()))

    @property
    def total_bytes(self) -> int:
        """All items together, at the peak."""
        return sum(self.items.values())


def measured_memory(flat: FlatNetwork, optimizer: Optimizer, inputs: Tensor, targets: Tensor, *, client_vectors: int = 0) -> MeasuredMemory:
    """Trains one step on the batch (batch, channels, height, width), (batch,) and gives what it took."""
    stepper = torch_optimizer(optimizer, flat.weights, flat.gradients)
    flat.backward(inputs, targets)
    stepper.step()
    back = _replayed(_profiled(lambda: _watched_backward(flat, inputs, targets)))
    update = _replayed(_profiled(stepper.step))
    always = _always(flat, stepper) | {"client_vectors": client_vectors * _bytes([flat.weights])}
    batch = _bytes([inputs, targets])
    phases: dict[Phase, dict[str, int]] = {
        "forward": _moment(always, batch, back.forward),
        "backward": _moment(always, batch, back.backward),
        "update": _moment(always, 0, _Peak(), update.forward.other),
    }
    return MeasuredMemory(phases, back.saved, back.workspace)


def _moment(always: Mapping[str, int], batch: int, peak: "_Peak", update_buffers: int = 0) -> dict[str, int]:
    activations = {"saved_activations": peak.saved, "transient_activations": peak.other}
    return {**always, "batch": batch, **activations, "update_buffers": update_buffers}


def _always(flat: FlatNetwork, stepper: torch.optim.Optimizer) -> dict[str, int]:
    parameters = dict(flat.network.named_parameters())
    trained = [parameter for parameter in parameters.values() if parameter.requires_grad]
    frozen = [parameter for parameter in parameters.values() if not parameter.requires_grad]
    gradients = [parameter.grad for parameter in trained if parameter.grad is not None]
    state = [value for values in stepper.state.values() for value in values.values() if isinstance(value, Tensor)]
    return {
        "trainable_parameters": _bytes([flat.weights, *trained]),
        "frozen_parameters": _bytes(frozen),
        "buffers": _bytes(flat.network.buffers()),
        "gradients": _bytes([flat.gradients, *gradients]),
        "optimizer_state": _bytes(state),
    }


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages of these tensors, each counted once."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    return sum(storages.values())


def _watched_backward(flat: FlatNetwork, inputs: Tensor, targets: Tensor) -> None:
    def pack(tensor: Tensor) -> Tensor:
        with record_function(f"{_SAVED}{tensor.untyped_storage().data_ptr()}"):
            return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        flat.backward(inputs, targets)


def _profiled(action: Callable[[], object]) -> list[Any]:
    # the profiler's library writes a line to standard error at every start unless told not to, once and for all, before the first
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        action()
    results = profiled.profiler.kineto_results if profiled.profiler is not None else None
    return list(results.experimental_event_tree()) if results is not None else []


@dataclass
class _Peak:
    saved: int = 0
    other: int = 0


@dataclass
class _Replay:
    """What lived, allocation by allocation; the peaks of the forward pass and of the backward pass."""

    forward: _Peak = field(default_factory=_Peak)
    backward: _Peak = field(default_factory=_Peak)
    saved: int = 0
    workspace: int = 0


@dataclass(frozen=True)
class _Event:
    """An allocation (bytes > 0), a release (bytes < 0), or a tensor that is saved (bytes = 0)."""

    time: int
    pointer: int
    bytes: int
    operation: int
    """The outermost operation that it happened in; 0: in none."""
    backward: bool


def _replayed(tree: list[Any]) -> _Replay:
    events = sorted(_events(tree), key=lambda event: event.time)
    scratch = _scratch(events)
    replay = _Replay(workspace=max(_workspaces(events, scratch), default=0))
    live: dict[int, int] = {}
    saved: set[int] = set()
    kept = total = 0
    for number, event in enumerate(events):
        if number in scratch:
            continue
        if event.bytes > 0:
            live[event.pointer] = event.bytes
            total += event.bytes
        elif event.bytes < 0 and event.pointer in live:
            size = live.pop(event.pointer)
            total -= size
            kept -= size if event.pointer in saved else 0
            saved.discard(event.pointer)
        elif event.pointer in live and event.pointer not in saved:
            saved.add(event.pointer)
            kept += live[event.pointer]
            replay.saved = kept
        peak = replay.backward if event.backward else replay.forward
        if total > peak.saved + peak.other:
            peak.saved, peak.other = kept, total - kept
    return replay


def _scratch(events: list[_Event]) -> set[int]:
    """The allocations and releases of what an operation allocated and released itself."""
    scratch: set[int] = set()
    open_: dict[int, int] = {}
    for number, event in enumerate(events):
        if event.bytes > 0:
            open_[event.pointer] = number
        elif event.bytes < 0 and event.pointer in open_:
            start = open_.pop(event.pointer)
            if event.operation and events[start].operation == event.operation:
                scratch |= {start, number}
    return scratch


def _workspaces(events: list[_Event], scratch: set[int]) -> Iterator[int]:
    total = 0
    for number in sorted(scratch):
        total += events[number].bytes
        yield total


def _events(tree: list[Any]) -> Iterator[_Event]:
    waiting = [(event, 0, False) for event in tree]
    while waiting:
        event, operation, backward = waiting.pop()
        name = event.name
        backward = backward or name.startswith("autograd::engine")
        if event.tag == torch._C._profiler._EventType.Allocation:
            yield _Event(event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size, operation, backward)
        elif name.startswith(_SAVED):
            yield _Event(event.start_time_ns, int(name.removeprefix(_SAVED)), 0, operation, backward)
        if not operation and name.startswith("aten::"):
            operation = event.id
        waiting += [(child, operation, backward) for child in event.children]
