"""What makes a step of a gradient: SGD and Adam over flat vectors, in place. Both work element by element.

SGD:  v <- mu v + (g + lambda w),  w <- w - eta v
Adam: m <- beta1 m + (1 - beta1) g,  s <- beta2 s + (1 - beta2) g^2,
      w <- w - eta / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + epsilon)

The same numbers to the last bit as torch's own optimizers, operation by operation. Those are not used for clients, because making
one imports torch's compiler, most of a second at the start of a run, and each of their steps takes longer than this arithmetic.

Kingma, Ba: Adam: A Method for Stochastic Optimization, ICLR 2015, Algorithm 1.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from fedtiny.training.optimizer import SGD, Adam, Optimizer


def stepper(
    optimizer: Optimizer, weights: torch.Tensor, gradients: torch.Tensor, positions: np.ndarray | None = None
) -> Callable[[], object]:
    """What makes one step, in place, of what then stands in `gradients` (elements,), each time it is called.

    With `positions` it moves those elements of `weights` and no others: momentum and weight decay move an element whose gradient
    is 0.
    """
    if positions is None:
        return _in_place(optimizer, weights, gradients)
    chosen = torch.from_numpy(positions)
    own_weights, own_gradients = weights[chosen], gradients[chosen]
    inner = _in_place(optimizer, own_weights, own_gradients)

    def step() -> None:
        own_gradients.copy_(gradients[chosen])
        own_weights.copy_(weights[chosen])
        inner()
        weights[chosen] = own_weights

    return step


def _in_place(optimizer: Optimizer, weights: torch.Tensor, gradients: torch.Tensor) -> Callable[[], object]:
    match optimizer:
        case SGD():
            return _sgd(optimizer, weights, gradients)
        case Adam():
            return _adam(optimizer, weights, gradients)


def _sgd(optimizer: SGD, weights: torch.Tensor, gradients: torch.Tensor) -> Callable[[], object]:
    if optimizer.is_plain:
        return partial(weights.add_, gradients, alpha=-optimizer.learning_rate)
    velocity = torch.zeros_like(weights)

    def step() -> None:
        penalized = gradients.add(weights, alpha=optimizer.weight_decay) if optimizer.weight_decay else gradients
        velocity.mul_(optimizer.momentum).add_(penalized)
        weights.add_(velocity, alpha=-optimizer.learning_rate)

    return step


def _adam(optimizer: Adam, weights: torch.Tensor, gradients: torch.Tensor) -> Callable[[], object]:
    mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        mean.lerp_(gradients, 1 - optimizer.beta1)
        square.mul_(optimizer.beta2).addcmul_(gradients, gradients, value=1 - optimizer.beta2)
        root = (square.sqrt() / math.sqrt(1 - optimizer.beta2**steps)).add_(optimizer.epsilon)
        weights.addcdiv_(mean, root, value=-optimizer.learning_rate / (1 - optimizer.beta1**steps))

    return step


def torch_optimizer(optimizer: Optimizer, weights: torch.Tensor, gradients: torch.Tensor) -> torch.optim.Optimizer:
    """The torch optimizer that a part describes, over vectors (elements,): what a device that runs PyTorch would use."""
    parameter = nn.Parameter(weights)
    parameter.grad = gradients
    match optimizer:
        case SGD():
            return torch.optim.SGD(
                [parameter], lr=optimizer.learning_rate, momentum=optimizer.momentum, weight_decay=optimizer.weight_decay
            )
        case Adam():
            betas = (optimizer.beta1, optimizer.beta2)
            return torch.optim.Adam([parameter], lr=optimizer.learning_rate, betas=betas, eps=optimizer.epsilon)
