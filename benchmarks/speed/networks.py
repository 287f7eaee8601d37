"""The networks that a peer needs as torch modules; FedTiny itself takes CifarCnn as `model: {kind: python}`."""

import torch
from torch import Tensor, nn


class CifarCnn(nn.Module):
    """pfl's `simple_cnn` for CIFAR10 without its two dropouts: 1,626,442 parameters.

    conv3x3-32, ReLU, conv3x3-64, ReLU, max-pooling 2x2, linear 12544-128, ReLU, linear 128-10; without padding. Source:
    apple/pfl-research, benchmarks/model/pytorch/cnn.py. Dropout draws random numbers, and then no two runners do the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(12544, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (batch, 10) of images (batch, 3, 32, 32)."""
        logits: Tensor = self.layers(inputs)
        return logits


def logistic_regression() -> nn.Module:
    """Logits of (batch, 1, 28, 28): 7,850 parameters."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 10))


def peer_network(workload: str) -> nn.Module:
    """The network of a workload that peers do too."""
    return {"a": logistic_regression, "c": CifarCnn}[workload]()


@torch.no_grad()
def loss_on(network: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """The mean cross-entropy on the examples of some clients, inputs (clients, examples, ...), targets (clients, examples)."""
    return float(nn.functional.cross_entropy(network(inputs.flatten(0, 1)), targets.flatten()))


SHOWN = 20
"""How many clients' examples a peer's loss is taken on, before and after, to see that it learns."""
