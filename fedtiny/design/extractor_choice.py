"""Which network of a supernet suits a data set, without back-propagation: TinyTL's feature-extractor adaptation.

A device cannot train every network of the space to see which one to keep. But a network that tells classes apart with nothing learnt for
them, by the nearest mean of its features, has features for them:

    score = share of the held-out examples whose features are nearest to the mean features of their own class

Features are what the head receives. Means are those of the other examples; each network is looked at once, forward only. What is found
keeps the same bounds as every other (architecture_search.py), and only its head is then trained.

Source: Cai, Gan, Zhu, Han: TinyTL. NeurIPS 2020, arXiv 2007.11622, section 4.1: feature extractor adaptation picks for each data set
another sub-network of a pre-trained weight-shared network, without back-propagation, its weights frozen. How networks are scored is ours
(nearest class means: Mensink, Verbeek, Perronnin, Csurka: Distance-Based Image Classification. IEEE TPAMI 35(11), 2013).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from fedtiny.design.supernet import Supernet
from fedtiny.models.elastic_space import SubNetwork
from fedtiny.training.local import Examples

_BATCH = 500


def nearest_mean_score(made: Supernet, learning: Examples, held_out: Examples) -> Callable[[SubNetwork], float]:
    """The score of a network, 0 to 1, for evolution: class means from some examples, told on others."""

    def score(choice: SubNetwork) -> float:
        known, asked = (features(made, choice, part.inputs) for part in (learning, held_out))
        return told_by_means(known, learning.targets, asked, held_out.targets)

    return score


def told_by_means(known: Tensor, targets: Tensor, asked: Tensor, wanted: Tensor) -> float:
    """The share of features `asked` (examples, features) that are nearest to the mean of their own class among those `known`.

    Features are first scaled to the spread that those known have, each for itself, so that none counts for its unit.
    """
    scale = known.std(0).clamp_min(1e-12)
    classes = torch.unique(targets)
    means = torch.stack([known[targets == one].mean(0) for one in classes])
    found = classes[torch.cdist(asked / scale, means / scale).argmin(1)]
    return float((found == wanted).double().mean())


@torch.no_grad()
def features(made: Supernet, choice: SubNetwork, inputs: Tensor) -> Tensor:
    """What the head of a network receives, (examples, features), with the shared weights."""
    alone = made.export(choice).eval()
    kept: list[Tensor] = []
    hook = alone.head.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
    for start in range(0, len(inputs), _BATCH):
        alone(inputs[start : start + _BATCH])
    hook.remove()
    return torch.cat(kept)
