"""Counting the work of any torch code while it runs: multiply-accumulates, optimizer steps and memory.

Nothing of the code is changed or known: a dispatch mode sees every operation that torch starts, and `torch.utils.flop_counter` knows how
many floating-point operations a product, a convolution or an attention is, two for each multiply-accumulate. Recurrent layers that torch
hands whole to its library are counted from the shapes of their weights. Whether an operation belongs to a backward pass, autograd says.

Memory is that of training, as in docs/memory.md, and the most of any step of an optimizer: what autograd kept at the peak since the step
before (hooks on saved tensors; a storage counts once, and until nothing keeps it any more) beside the optimizer's parameters, their
gradients and its state. A parameter that is also saved counts once. Without any step it is what autograd kept at the peak.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from fedtiny.models.counted_work import CountedWork
from fedtiny.models.summary import RateClass

REFUSES_HOOKS: Final = "saved tensor hooks"
"""In the message of the error that torch.func's transformations raise where such hooks are on."""
_CONVOLUTIONS: Final = ("convolution", "_convolution", "convolution_backward", "mkldnn_convolution")


@dataclass
class _Counts:
    forward: dict[RateClass, float] = field(default_factory=dict)
    backward: dict[RateClass, float] = field(default_factory=dict)
    operations: int = 0
    groups: int = 0
    steps: int = 0
    memory: int = 0
    """The most bytes of any step so far."""
    kept: "_Kept" = field(default_factory=lambda: _Kept())

    def add(self, kind: RateClass, macs: float, groups: int = 0) -> None:
        side = self.backward if torch._C._current_graph_task_id() != -1 else self.forward
        side[kind] = side.get(kind, 0.0) + macs
        self.operations += 1
        self.groups += groups

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        self.steps += 1
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
        always = _bytes((*parameters, *gradients, *states))
        self.memory = max(self.memory, always + self.kept.peak_without({_address(parameter) for parameter in parameters}))

    def counted(self) -> CountedWork:
        return CountedWork(self.forward, self.backward, self.operations, self.steps, self.groups, self.memory or self.kept.peak or None)


class _Kept:
    """The storages that autograd keeps, those of parameters left out once they are known, and the most since an optimizer's last step."""

    def __init__(self) -> None:
        self._live: dict[int, list[int]] = {}
        """By address of a storage: its bytes and how often it is kept."""
        self._bytes, self.peak = 0, 0
        self._parameters: set[int] = set()
        self._at_peak: dict[int, int] | None = {}
        """What was kept at the peak, as long as nobody knows what of it is a parameter: until the first step."""

    def pack(self, tensor: Tensor) -> "_Saved":
        address, size = _address(tensor), tensor.untyped_storage().nbytes()
        entry = self._live.setdefault(address, [size, 0])
        entry[1] += 1
        if entry[1] == 1 and address not in self._parameters:
            self._bytes += size
            if self._bytes > self.peak:
                self.peak = self._bytes
                if self._at_peak is not None:
                    self._at_peak = {key: value[0] for key, value in self._live.items()}
        return _Saved(tensor, self, address)

    def release(self, address: int) -> None:
        """A graph lets go of a storage."""
        entry = self._live[address]
        entry[1] -= 1
        if not entry[1]:
            self._bytes -= 0 if address in self._parameters else entry[0]
            del self._live[address]

    def peak_without(self, parameters: set[int]) -> int:
        """The most bytes since the last step, those of the parameters at these addresses left out; begins anew."""
        peak = self.peak
        if self._at_peak is not None:
            peak, self._at_peak = sum(size for address, size in self._at_peak.items() if address not in parameters), None
        self._bytes -= sum(self._live[address][0] for address in parameters - self._parameters if address in self._live)
        self._parameters |= parameters
        self.peak = self._bytes
        return peak


class _Saved:
    """A tensor that autograd keeps, until the graph lets go of this."""

    __slots__ = ("_address", "_kept", "tensor")

    def __init__(self, tensor: Tensor, kept: _Kept, address: int) -> None:
        self.tensor, self._kept, self._address = tensor, kept, address

    def __del__(self) -> None:
        self._kept.release(self._address)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operation while it is on."""

    def __init__(self, counts: _Counts) -> None:
        TorchDispatchMode.__init__(self)  # type: ignore[no-untyped-call]
        self._counts = counts

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet.__name__ == "convolution_backward":
            self._counts.add(
                _rate_class("convolution_backward", args), _backward_macs(args), _groups(args) * (int(args[10][0]) + _own(args))
            )
        elif packet in flop_registry:
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out)
            name = str(packet.__name__)
            self._counts.add(_rate_class(name, args), flops / 2, _groups(args) if name.startswith(_CONVOLUTIONS) else 0)
        elif packet.__name__.startswith("mkldnn_rnn_layer"):
            self._counts.add("recurrent", _recurrent_macs(args) * (2 if packet.__name__.endswith("backward") else 1))
        elif packet.__name__.startswith("_scaled_dot_product_flash_attention_for_cpu"):
            self._counts.add("attention", _attention_macs(args, backward=packet.__name__.endswith("backward")))
        return out


def count_work(action: Callable[[], object], *, memory: bool = True) -> CountedWork:
    """Does something and gives what torch computed meanwhile in this thread; what `action` raises goes on to the caller.

    `memory`: also watch what autograd keeps, with hooks that transformations of `torch.func` do not take.
    """
    counts = _Counts()
    with ExitStack() as watching:
        watching.enter_context(_steps_seen(counts))
        if memory:
            watching.enter_context(saved_tensors_hooks(counts.kept.pack, lambda saved: cast(_Saved, saved).tensor))
        watching.enter_context(_Counting(counts))
        action()
    return counts.counted()


@contextmanager
def _steps_seen(counts: _Counts) -> Iterator[None]:
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: counts.step(optimizer))
    try:
        yield
    finally:
        handle.remove()


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of the storages of these tensors, each counted once."""
    return sum({_address(tensor): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _rate_class(name: str, args: Sequence[Any]) -> RateClass:
    if "attention" in name or name in ("bmm", "baddbmm"):
        return "attention"
    if not any(name.startswith(kind) for kind in _CONVOLUTIONS):
        return "dense_gemm"
    backward = name == "convolution_backward"
    weight = args[2] if backward else args[1]
    if _groups(args):
        return "depthwise" if weight.shape[1] == 1 else "grouped_convolution"
    return "pointwise_convolution" if all(size == 1 for size in weight.shape[2:]) else "dense_convolution"


def _groups(args: Sequence[Any]) -> int:
    """The groups of a convolution, 0 where it has one."""
    groups = next((value for value in reversed(args) if isinstance(value, int) and not isinstance(value, bool)), 1)
    return groups if groups > 1 else 0


def _own(args: Sequence[Any]) -> int:
    """1 where a convolution's backward pass is asked for the gradient of its weight or bias."""
    return int(args[10][1] or args[10][2])


def _backward_macs(args: Sequence[Any]) -> float:
    """Of a convolution's backward pass: as many as forward for each of the gradients of its input and its weight that are asked for."""
    # torch's own formula (2.13) forgets the groups where the gradient of the weight is asked for
    gradient, entered, weight, transposed, (inputs, weights, _) = args[0], args[1], args[2], args[7], args[10]
    passed = entered if transposed else gradient
    return float(passed.numel() * (weight.numel() // weight.shape[0]) * (int(inputs) + int(weights)))


def _recurrent_macs(args: Sequence[Any]) -> float:
    """(input, weight of the input, weight of the state, ...): every time step of every sequence multiplies both weights once."""
    sequence, own, state = args[0], args[1], args[2]
    return float(sequence.shape[0] * sequence.shape[1] * (own.numel() + state.numel()))


def _attention_macs(args: Sequence[Any], *, backward: bool) -> float:
    """Two products of (batch, heads, queries, keys, width), and five in the backward pass, which makes one of the two again."""
    query, key, value = args[1:4] if backward else args[:3]
    pairs = query.shape[0] * query.shape[1] * query.shape[2] * key.shape[2]
    return float(pairs * (3 * query.shape[3] + 2 * value.shape[3] if backward else query.shape[3] + value.shape[3]))
