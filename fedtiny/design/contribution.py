"""Contribution analysis: what the biases of the last k convolutions, and the weights of one layer, add to accuracy.

From the same start, with the same batches, the network is trained with one part of a scheme at a time:

    gain_b(k)    = accuracy(classifier, biases of the last k) - accuracy(classifier)
    gain_W(i, r) = accuracy(classifier, all biases, layer i on a share r of its input channels) - accuracy(classifier, all biases)

(Lin et al.: On-Device Training Under 256KB Memory, NeurIPS 2022, arXiv 2206.15472, section 2.2; there on one data set, here on the
scenario's own). Training is plain, in one place, on the examples of all clients together but a held-out share, on which
accuracy is measured: the test set plays no part in choosing a scheme. Gains of a few steps on small data are noisy:
`repeats` averages over draws of the batches.
"""

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, Strict
from torch import nn

from fedtiny.datasets.cache import cache_folder
from fedtiny.design.scheme_search import Contributions, Scheme
from fedtiny.models.summary import ModelSummary
from fedtiny.parts import Part
from fedtiny.randomness import Streams
from fedtiny.training.batches import Batches
from fedtiny.training.evaluation import evaluate
from fedtiny.training.local import Examples, FlatNetwork, LocalLearner
from fedtiny.training.optimizer import Optimizer
from fedtiny.updates.layout import layout_of
from fedtiny.updates.plan import UpdatePlan

_FORMAT = 1
"""Raised whenever the analysis computes something else, so that old cache entries are not used."""

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Progress = Callable[[int, int], None]
"""(measurements done, measurements in all) -> None."""


class Analysis(Part):
    """What is measured, and for how long each part trains."""

    steps: Count = 100
    """Optimizer steps of each measurement."""
    repeats: Count = 1
    """Draws of the batches that each gain is averaged over."""
    depths: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Strict(False)] | None = None
    """Depths k of trained biases; left out: about a dozen, evenly spaced from 0 to all convolutions."""
    layers: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Strict(False)] | None = None
    """Convolutions, counted from 0 at the input, whose weights are tried; left out: all."""
    shares: Annotated[tuple[Share, ...], Strict(False), Field(min_length=1)] = (0.125, 0.25, 0.5, 1.0)
    """Shares of a layer's input channels that are tried."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """The share of the training examples on which accuracy is measured."""

    def all_depths(self, convolutions: int) -> list[int]:
        """The depths to measure, ascending, with 0 and the depth of all convolutions."""
        chosen = self.depths if self.depths is not None else range(0, convolutions + 1, max(1, round(convolutions / 12)))
        return sorted({0, convolutions, *chosen})

    def all_layers(self, convolutions: int) -> list[int]:
        """The layers to measure, ascending."""
        return sorted(set(self.layers if self.layers is not None else range(convolutions)))


@dataclass(frozen=True)
class Subject:
    """What an analysis is about: a network at its start, the scheme's plans, and the data."""

    network: nn.Module
    summary: ModelSummary
    convolutions: int
    plan_of: Callable[[Scheme], UpdatePlan]
    examples: Examples
    members: np.ndarray
    """Positions of the clients' examples, shape (examples,)."""
    optimizer: Optimizer
    batch_size: int
    streams: Streams


def measure_contributions(subject: Subject, analysis: Analysis, progress: Progress | None = None) -> Contributions:
    """Trains and evaluates every part of the analysis; the subject's network is left as it is."""
    depths, layers = analysis.all_depths(subject.convolutions), analysis.all_layers(subject.convolutions)
    todo = [Scheme(depth) for depth in depths]
    todo += [Scheme(subject.convolutions, {layer: share}) for layer in layers for share in analysis.shares]
    accuracies = []
    for scheme in todo:
        accuracies.append(accuracy_of(subject, scheme, analysis))
        if progress is not None:
            progress(len(accuracies), len(todo))
    biases = dict(zip(depths, accuracies, strict=False))
    single = iter(accuracies[len(depths) :])
    return Contributions(
        convolutions=subject.convolutions,
        biases={depth: accuracy - biases[0] for depth, accuracy in biases.items()},
        weights={layer: {share: next(single) - biases[subject.convolutions] for share in analysis.shares} for layer in layers},
    )


def accuracy_of(subject: Subject, scheme: Scheme, analysis: Analysis) -> float:
    """Accuracy on the held-out examples after training what a scheme trains, averaged over the repeats."""
    plan, found = subject.plan_of(scheme), []
    train, held_out = _split(subject, analysis)
    for repeat in range(analysis.repeats):
        network = copy.deepcopy(subject.network)
        values = {name: parameter.numpy(force=True) for name, parameter in network.named_parameters()}
        flat = FlatNetwork(network, layout_of(plan, subject.summary, values))
        batches = Batches(train, subject.batch_size, subject.streams, ("contribution", repeat))
        learner = LocalLearner(0, flat, subject.examples, batches, subject.optimizer)
        weights, _ = learner.train(flat.read(), 1, analysis.steps)
        flat.load(weights)
        chosen = torch.from_numpy(held_out)
        found.append(evaluate(flat, Examples(subject.examples.inputs[chosen], subject.examples.targets[chosen])).accuracy or 0.0)
    return float(np.mean(found))


def _split(subject: Subject, analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    order = subject.streams.numpy("contribution", "held out").permutation(len(subject.members))
    count = max(1, round(analysis.held_out * len(order)))
    return np.sort(subject.members[order[count:]]), np.sort(subject.members[order[:count]])


def cached_contributions(identity: dict[str, Any], measure: Callable[[], Contributions]) -> Contributions:
    """The contributions from the cache if it holds them, else by `measure` and into the cache.

    `identity` is everything that they depend on, as plain JSON.
    """
    text = json.dumps({"format": _FORMAT, "torch": torch.__version__, **identity}, sort_keys=True)
    path = cache_folder() / "contributions" / f"{hashlib.sha256(text.encode()).hexdigest()}.json"
    if path.exists():
        try:
            return contributions_from(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError):
            path.unlink()
    found = measure()
    _write(path, json.dumps(asdict(found)))
    return found


def contributions_from(document: dict[str, Any]) -> Contributions:
    """Contributions from their JSON document, whose keys are texts."""
    return Contributions(
        convolutions=int(document["convolutions"]),
        biases={int(depth): float(gain) for depth, gain in document["biases"].items()},
        weights={int(layer): {float(share): float(gain) for share, gain in gains.items()} for layer, gains in document["weights"].items()},
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
