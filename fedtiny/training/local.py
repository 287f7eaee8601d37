"""How one client learns: plain, one client at a time, obviously right.

All trainable tensors of a network are views into one flat vector, and their gradients views into another, so reading,
writing and stepping are single operations whatever the number of tensors. Frozen parameters have no gradient: none is
computed, stored or sent.

Batch n of a client depends on (seed, client, n) only: every epoch is a fresh permutation of the client's examples, the
short last batch is kept, and counting runs on across rounds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.randomness import Streams
from fedtiny.training.optimizer import SGD, Adam, Optimizer

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(inputs, targets) -> the batch mean, a scalar tensor."""


@dataclass(frozen=True)
class Examples:
    """Inputs (examples, channels, height, width) and targets (examples,) as tensors."""

    inputs: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True)
class Batches:
    """The endless sequence of one client's batches; indices point into the whole training set."""

    indices: np.ndarray
    batch_size: int
    streams: Streams
    path: tuple[str | int, ...]

    @property
    def per_epoch(self) -> int:
        """How many batches one pass over the client's data takes."""
        return -(-len(self.indices) // self.batch_size)

    def size(self, step: int) -> int:
        """How many examples batch `step` (counted from 1) holds."""
        position = (step - 1) % self.per_epoch
        return min(self.batch_size, len(self.indices) - position * self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        """Indices (batch,) of batch `step`, counted from 1; one batch that is all the data is taken in order."""
        if self.per_epoch == 1:
            return self.indices
        epoch, position = divmod(step - 1, self.per_epoch)
        order = _epoch_order(self.streams, (*self.path, "batches", epoch), len(self.indices))
        chosen: np.ndarray = self.indices[order[position * self.batch_size : (position + 1) * self.batch_size]]
        return chosen


@lru_cache(maxsize=4096)
def _epoch_order(streams: Streams, path: tuple[str | int, ...], examples: int) -> np.ndarray:
    return streams.numpy(*path).permutation(examples)


class FlatNetwork:
    """A network whose trainable tensors are one flat vector.

    `trainable` names the parameters that train, in the order in which they lie in the vector; all others are frozen.
    A network that has a method `loss(inputs, targets)` is trained on it, others on the cross-entropy of their logits.
    """

    def __init__(self, network: nn.Module, trainable: Sequence[str]) -> None:
        parameters = dict(network.named_parameters())
        missing = [name for name in trainable if name not in parameters]
        if missing:
            raise ModelError(f"the update plan trains {missing[:3]}, which the network does not have")
        self.network = network
        self.layout = {name: tuple(parameters[name].shape) for name in trainable}
        self.own_loss: Loss | None = getattr(network, "loss", None)
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in self.layout)
        chosen = [parameters[name] for name in trainable]
        self.weights = torch.cat([parameter.detach().reshape(-1) for parameter in chosen])
        self.gradients = torch.zeros_like(self.weights)
        position = 0
        for parameter in chosen:
            size = parameter.numel()
            parameter.data = self.weights[position : position + size].view(parameter.shape)
            parameter.grad = self.gradients[position : position + size].view(parameter.shape)
            position += size

    def load(self, vector: np.ndarray) -> None:
        """Sets the trainable tensors from a flat vector."""
        self.weights.copy_(torch.from_numpy(vector))

    def read(self) -> np.ndarray:
        """A copy of the trainable tensors as a flat vector."""
        return self.weights.numpy(force=True).copy()

    def loss(self, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch."""
        if self.own_loss is not None:
            return self.own_loss(inputs, targets)
        return nn.functional.cross_entropy(self.network(inputs), targets)

    def backward(self, inputs: torch.Tensor, targets: torch.Tensor) -> float:
        """Puts the gradient of a batch into `gradients` and returns the loss."""
        self.gradients.zero_()
        loss = self.loss(inputs, targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())


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

    @property
    def examples(self) -> int:
        """How many training examples this client holds."""
        return len(self.batches.indices)

    def gradient(self, weights: np.ndarray, step: int) -> tuple[np.ndarray, float]:
        """The gradient (trainable elements,) of the mean loss of batch `step` at these weights, and that loss."""
        self.flat.load(weights)
        loss = self._backward(step)
        return self.flat.gradients.numpy(force=True).copy(), loss

    def train(self, weights: np.ndarray, first_step: int, steps: int) -> tuple[np.ndarray, float]:
        """`steps` optimizer steps from `weights`, with a fresh optimizer state. Returns weights and mean loss."""
        self.flat.load(weights)
        stepper = torch_optimizer(self.optimizer, self.flat)
        losses = []
        for step in range(first_step, first_step + steps):
            losses.append(self._backward(step))
            stepper.step()
            if self.observer is not None:
                self.observe(step, self.flat.read())
        return self.flat.read(), float(np.mean(losses)) if losses else 0.0

    def observe(self, step: int, weights: np.ndarray) -> None:
        """Hands the named weights after `step` to the observer, if there is one."""
        if self.observer is not None:
            self.observer(self.number, step, named(weights, self.flat.layout))

    def _backward(self, step: int) -> float:
        if self.stochastic:
            torch.manual_seed(self.batches.streams.integer(*self.batches.path, "noise", step))
        chosen = torch.from_numpy(self.batches.batch(step))
        return self.flat.backward(self.examples_of_all.inputs[chosen], self.examples_of_all.targets[chosen])


def named(vector: np.ndarray, layout: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Copies of the named tensors inside a flat vector; `layout` is name -> shape, in order."""
    result, position = {}, 0
    for name, shape in layout.items():
        size = int(np.prod(shape, dtype=np.int64))
        result[name] = vector[position : position + size].reshape(shape).copy()
        position += size
    return result


def torch_optimizer(optimizer: Optimizer, flat: FlatNetwork) -> torch.optim.Optimizer:
    """The torch optimizer that a part describes, over the flat vector: all of them work element by element."""
    parameter = nn.Parameter(flat.weights)
    parameter.grad = flat.gradients
    match optimizer:
        case SGD():
            return torch.optim.SGD(
                [parameter], lr=optimizer.learning_rate, momentum=optimizer.momentum, weight_decay=optimizer.weight_decay
            )
        case Adam():
            betas = (optimizer.beta1, optimizer.beta2)
            return torch.optim.Adam([parameter], lr=optimizer.learning_rate, betas=betas, eps=optimizer.epsilon)


def dtype_of(precision: Literal["float32", "float64"]) -> torch.dtype:
    """The torch type of a scenario's `training.precision`."""
    return torch.float64 if precision == "float64" else torch.float32
