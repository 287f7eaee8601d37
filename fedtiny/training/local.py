"""How one client learns: plain, one client at a time, obviously right.

All trainable tensors of a network are views into one flat vector, and their gradients views into another, so reading,
writing and stepping are single operations whatever the number of tensors. Of a tensor that trains on some of its channels
only those are in the vector: they are copied into the tensor before its layer computes, and their part of its gradient is
copied out. Frozen parameters have no gradient: none is computed, stored or sent.

A gradient can be had in two ways, with the same numbers. `FlatNetwork.backward` lets autograd add to the flat vector, zeroed before: one
vector is all there ever is, as on a device, and this is what memory is measured on. `FlatNetwork.fresh_backward` takes the tensors that
autograd makes, which saves three passes over memory, and is what clients train by; plain SGD subtracts them without any vector.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import nn

from fedtiny.errors import FedTinyError, ModelError
from fedtiny.models.quantization import DEFAULT, Int8
from fedtiny.training.batches import Batches
from fedtiny.training.local_work import LocalResult, LocalWork, WorkFailed
from fedtiny.training.one_thread import one_thread
from fedtiny.training.optimizer import SGD, Optimizer, at_rate
from fedtiny.training.pace import EQUAL, Pace
from fedtiny.training.quantization_aware_scaling import gradient_factors, integer_storage
from fedtiny.training.stepper import stepper
from fedtiny.training.summed_updates import summed_updates
from fedtiny.training.trained_tensor import PartOfTensor, WholeTensor
from fedtiny.updates.layout import Layout, OwnElements, TrainableTensor

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(inputs, targets) -> the batch mean, a scalar tensor."""


@dataclass(frozen=True)
class Examples:
    """Inputs (examples, channels, height, width) and targets (examples,) as tensors."""

    inputs: torch.Tensor
    targets: torch.Tensor


class FlatNetwork:
    """A network whose trainable elements are one flat vector.

    `trainable` is their layout, or the names of the tensors that train whole, in the order in which they lie in the vector; all
    other parameters are frozen. A network that has a method `loss(inputs, targets)` is trained on it, others on the
    cross-entropy of their logits. `quantization` says how a network of integers is trained; it means nothing to others. Raises
    ModelError where the network lacks one of the tensors.
    """

    def __init__(self, network: nn.Module, trainable: Layout | Sequence[str], quantization: Int8 = DEFAULT) -> None:
        self.network = network
        self._parameters = dict(network.named_parameters())
        self.layout = trainable if isinstance(trainable, Layout) else self._whole(trainable)
        self.own_loss: Loss | None = getattr(network, "loss", None)
        self.weights = torch.empty(self.layout.elements, dtype=next(network.parameters()).dtype)
        self.gradients = torch.zeros_like(self.weights)
        self._parts: list[PartOfTensor] = []
        self._wholes: list[WholeTensor] = []
        position = 0
        for tensor in self.layout.tensors:
            end = position + tensor.elements
            self._join(tensor, self._parameter(tensor.name), self.weights[position:end], self.gradients[position:end])
            position = end
        self._tensors: list[WholeTensor | PartOfTensor] = [*self._wholes, *self._parts]
        self.require(self.layout.names)
        self.factors = gradient_factors(network, self.layout, quantization)
        self.storage = integer_storage(network, self.layout, quantization)

    def _whole(self, names: Sequence[str]) -> Layout:
        return Layout(tuple(TrainableTensor(name, tuple(self._parameter(name).shape)) for name in names))

    def _parameter(self, name: str) -> nn.Parameter:
        if name not in self._parameters:
            raise ModelError(f"the update plan trains {name}, which the network does not have")
        return self._parameters[name]

    def _join(self, tensor: TrainableTensor, parameter: nn.Parameter, weights: torch.Tensor, gradients: torch.Tensor) -> None:
        if tensor.channels is None:
            weights.copy_(parameter.detach().reshape(-1))
            parameter.data = weights.view(parameter.shape)
            parameter.grad = gradients.view(parameter.shape)
            self._wholes.append(WholeTensor(parameter, weights.view(parameter.shape), gradients.view(parameter.shape)))
            return
        part = PartOfTensor(parameter, tensor.axis, torch.tensor(tensor.channels), tensor.trained_shape, weights, gradients)
        weights.copy_(part.parameter.detach().index_select(part.axis, part.channels).reshape(-1))
        parameter.grad = torch.zeros_like(parameter)
        self._parts.append(part)

    def require(self, names: frozenset[str]) -> None:
        """From now on gradients are computed for these tensors only; they are 0 for the rest of the vector."""
        for name, parameter in self._parameters.items():
            parameter.requires_grad_(name in names)

    def load(self, vector: np.ndarray) -> None:
        """Sets the trainable elements from a flat vector."""
        np.copyto(self.weights.numpy(), vector)  # torch takes no array that nobody may write to, as models are that many clients share
        self.spread()

    def spread(self) -> None:
        """Brings the tensors that train in part up to date with the flat vector; the others are views of it."""
        with torch.no_grad():
            for part in self._parts:
                part.parameter.index_copy_(part.axis, part.channels, part.weights.view(part.shape))

    def read(self) -> np.ndarray:
        """A copy of the trainable elements as a flat vector."""
        return self.weights.numpy(force=True).copy()

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch."""
        if self.own_loss is not None:
            return self.own_loss(inputs, targets)
        return nn.functional.cross_entropy(self.network(inputs), targets)

    def backward(self, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        """Puts the gradient of a batch into `gradients`, to which autograd adds it in place, and returns the loss."""
        self.gradients.zero_()
        for whole in self._wholes:
            whole.parameter.grad = whole.gradients
        for part in self._parts:
            part.parameter.grad = torch.zeros_like(part.parameter) if part.parameter.grad is None else part.parameter.grad.zero_()
        loss = self.loss(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        for part in self._parts:
            part.take_gradient()
        if self.factors is not None:
            self.gradients *= self.factors
        return float(loss.detach())

    def fresh_backward(self, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        """Leaves the gradient of a batch in tensors that autograd makes, for `gather` or `descend`, and returns the loss."""
        for tensor in self._tensors:
            tensor.parameter.grad = None
        loss = self.loss(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def gather(self) -> None:
        """Puts what `fresh_backward` left into `gradients`: 0 where a tensor got none."""
        for tensor in self._tensors:
            tensor.take_gradient()
        if self.factors is not None:
            self.gradients *= self.factors

    @property
    def can_descend(self) -> bool:
        """Whether every gradient is of a whole tensor and counts as it is."""
        return not self._parts and self.factors is None

    @torch.no_grad()
    def descend(self, rate: float) -> None:
        """w <- w - rate g with what `fresh_backward` left, in place; only where the network `can_descend`."""
        for whole in self._wholes:
            if whole.parameter.grad is not None:
                whole.weights.add_(whole.parameter.grad, alpha=-rate)


Observer = Callable[[int, int, Mapping[str, np.ndarray]], None]
"""(device, step, named weights) -> None."""


@dataclass(frozen=True)
class LocalLearner:
    """One client: its batches and its optimizer, on a network that all clients of this process share."""

    number: int
    flat: FlatNetwork
    examples_of_all: Examples
    batches: Batches
    optimizer: Optimizer
    observer: Observer | None = None
    stochastic: bool = False
    """Whether the network draws random numbers while it trains (dropout); every step then has its own seed."""
    part: OwnElements | None = None
    """What this client trains of the network's flat vector; None: all of it."""
    pace: Pace = EQUAL

    @property
    def examples(self) -> int:
        """How many training examples this client holds."""
        return len(self.batches.indices)

    @property
    def own(self) -> slice | np.ndarray:
        """Which elements of the flat vector this client trains."""
        return slice(None) if self.part is None else self.part.positions

    def gradient(self, weights: np.ndarray, step: int) -> tuple[np.ndarray, float]:
        """The gradient (own elements,) of the mean loss of batch `step` at these weights (trainable elements,), and that loss."""
        self._load(weights)
        loss = self._backward(step, self.batches.batch(step))
        self.flat.gather()
        gradients: np.ndarray = self.flat.gradients.numpy(force=True)[self.own].copy()
        return gradients, loss

    def train(self, weights: np.ndarray, first_step: int, steps: int) -> tuple[np.ndarray, float]:
        """`steps` optimizer steps from `weights` (trainable elements,), with a fresh optimizer state. Returns weights and mean loss."""
        trained, losses = self._optimized(weights, first_step, steps)
        return trained, float(np.mean(losses)) if steps else 0.0

    def _optimized(self, weights: np.ndarray, first_step: int, steps: int, proximal: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        self._load(weights)
        self._store("received", first_step)
        start = self.flat.weights.clone() if proximal else None
        step_once = self._stepper(start, proximal)
        losses = []
        for step, chosen in enumerate(self.batches.several(first_step, steps), first_step):
            losses.append(self._backward(step, chosen))
            step_once()
            self._store("rounding", step)
            self.flat.spread()
            if self.observer is not None:
                self.observe(step, self.flat.read())
        return self.flat.read(), np.asarray(losses, dtype=np.float64)

    def _stepper(self, start: torch.Tensor | None, proximal: float) -> Callable[[], object]:
        """What makes one step of the gradient that was left; with mu (w - `start`) added to it, where there is a start."""
        optimizer, flat = self.optimizer, self.flat
        if isinstance(optimizer, SGD) and optimizer.is_plain and flat.can_descend and start is None and self.part is None:
            return partial(flat.descend, optimizer.learning_rate)
        from_vector = stepper(optimizer, flat.weights, flat.gradients, None if self.part is None else self.part.positions)

        def step() -> None:
            flat.gather()
            if start is not None:
                flat.gradients.add_(flat.weights - start, alpha=proximal)
            from_vector()

        return step

    @one_thread()
    def do(self, work: LocalWork) -> LocalResult:
        """Takes the local steps that are asked for: the plain way, which every faster one must agree with. Raises WorkFailed."""
        try:
            if work.rate is not None:
                return self._descended(work, work.rate)
            learner = replace(self, optimizer=at_rate(self.optimizer, work.learning_rate))
            if work.sums_updates:
                return summed_updates(learner, learner.optimizer, work)
            return LocalResult(*learner._optimized(work.weights, work.first_step, work.steps, work.proximal))
        except FedTinyError:
            raise
        except Exception as error:
            raise WorkFailed(self.number, f"{type(error).__name__}: {error}") from error

    def _descended(self, work: LocalWork, rate: float) -> LocalResult:
        weights, own = work.weights.copy(), self.own
        total, last, losses = np.zeros_like(weights[own]), None, []
        for step in range(work.first_step, work.first_step + work.steps):
            gradient, loss = self.gradient(weights, step)
            total += gradient
            losses.append(loss)
            if work.holds_last and len(losses) == work.steps:
                last = gradient
            else:
                weights[own] -= rate * gradient
                self.observe(step, weights)
        return LocalResult(weights, np.asarray(losses, dtype=np.float64), total, last)

    def observe(self, step: int, weights: np.ndarray) -> None:
        """Hands the named weights after `step` to the observer, if there is one."""
        if self.observer is not None:
            self.observer(self.number, step, named(weights, self.flat.layout))

    def _load(self, weights: np.ndarray) -> None:
        self.flat.require(self.flat.layout.names if self.part is None else self.part.names)
        self.flat.load(weights)

    def _store(self, occasion: str, step: int) -> None:
        storage = self.flat.storage
        if storage is not None:
            storage.store(self.flat.weights, self.batches.streams.numpy(*self.batches.path, occasion, step), self.part)
            self.flat.spread()

    def _backward(self, step: int, chosen: np.ndarray) -> float:
        if self.stochastic:
            torch.default_generator.manual_seed(self.batches.streams.integer(*self.batches.path, "noise", step))  # all devices: 0.6 ms
        examples, indices = self.examples_of_all, torch.from_numpy(chosen)
        return self.flat.fresh_backward(examples.inputs.index_select(0, indices), examples.targets.index_select(0, indices))


def named(vector: np.ndarray, layout: Layout) -> dict[str, np.ndarray]:
    """Copies of what trains of each tensor, by name, from a flat vector of this layout."""
    result, position = {}, 0
    for tensor in layout.tensors:
        result[tensor.name] = vector[position : position + tensor.elements].reshape(tensor.trained_shape).copy()
        position += tensor.elements
    return result


def dtype_of(precision: Literal["float32", "float64"]) -> torch.dtype:
    """The torch type of a scenario's `training.precision`."""
    return torch.float64 if precision == "float64" else torch.float32
