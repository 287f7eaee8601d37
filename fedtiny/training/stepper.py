"""What makes a step of a gradient: torch's optimizers over flat vectors. All of them work element by element."""

from collections.abc import Callable

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
        return torch_optimizer(optimizer, weights, gradients).step
    chosen = torch.from_numpy(positions)
    own_weights, own_gradients = weights[chosen], gradients[chosen]
    inner = torch_optimizer(optimizer, own_weights, own_gradients)

    def step() -> None:
        own_gradients.copy_(gradients[chosen])
        own_weights.copy_(weights[chosen])
        inner.step()
        weights[chosen] = own_weights

    return step


def torch_optimizer(optimizer: Optimizer, weights: torch.Tensor, gradients: torch.Tensor) -> torch.optim.Optimizer:
    """The torch optimizer that a part describes, over vectors (elements,)."""
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
