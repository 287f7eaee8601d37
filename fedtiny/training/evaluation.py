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
    labels: tuple[tuple[int, int], ...] = ()
    """(examples, correct ones) of every class; empty where targets are not classes."""


@torch.no_grad()
def evaluate(flat: FlatNetwork, examples: Examples) -> Quality:
    """Accuracy (share of examples whose largest logit is the target) and mean loss per example.

    Batches are summed in order, so the result does not depend on anything but network and examples.
    """
    loss = 0.0
    rights: list[torch.Tensor] = []
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
            rights += [outputs.argmax(dim=1) == targets] if classes else []
    flat.network.train(training)
    total = len(examples.targets)
    if not classes:
        return Quality(None, loss / total)
    right = torch.cat(rights)
    return Quality(int(right.sum()) / total, loss / total, _by_label(examples.targets, right))


def _by_label(targets: torch.Tensor, right: torch.Tensor) -> tuple[tuple[int, int], ...]:
    counts = torch.bincount(targets)
    return tuple(zip(counts.tolist(), torch.bincount(targets[right], minlength=len(counts)).tolist(), strict=True))
