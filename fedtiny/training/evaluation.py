"""How good a model is on the test set: accuracy and mean loss.

Evaluation on the server takes no virtual time and no bytes.
"""

from dataclasses import dataclass

import torch
from torch import nn

from fedtiny.training.local import Examples, FlatNetwork

_BATCH = 500


@dataclass(frozen=True)
class Quality:
    """What a model is worth on a set of examples; `accuracy` is None where targets are not classes."""

    accuracy: float | None
    loss: float


@torch.no_grad()
def evaluate(flat: FlatNetwork, examples: Examples) -> Quality:
    """Accuracy (share of examples whose largest logit is the target) and mean loss per example.

    Batches are summed in order, so the result does not depend on anything but network and examples.
    """
    correct, loss = 0, 0.0
    training = flat.network.training
    flat.network.eval()
    classes = not examples.targets.is_floating_point()
    for start in range(0, len(examples.targets), _BATCH):
        inputs, targets = examples.inputs[start : start + _BATCH], examples.targets[start : start + _BATCH]
        if flat.own_loss is not None:
            loss += float(flat.own_loss(inputs, targets)) * len(targets)
        if classes or flat.own_loss is None:
            outputs = flat.network(inputs)
            loss += float(nn.functional.cross_entropy(outputs, targets)) * len(targets) if flat.own_loss is None else 0.0
            correct += int((outputs.argmax(dim=1) == targets).sum()) if classes else 0
    flat.network.train(training)
    total = len(examples.targets)
    return Quality(correct / total if classes else None, loss / total)
