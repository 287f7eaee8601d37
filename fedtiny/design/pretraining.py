"""Server-side pre-training: what a network knows before time 0.

Training only biases or lite residual modules of a random, frozen backbone means nothing, so TinyTL starts from a
pre-trained network. Here the server trains the whole network, lite residual modules included, with Adam (Kingma and Ba,
ICLR 2015) on a public share of the training data that no client holds, if wanted on some classes only. It is
deterministic, takes no virtual time, and is cached by its content: the network, the data, the seed and the recipe.

With `netaug`, the network is trained inside wider ones (netaug.py). One whose norms are folded is trained by way of its batch-normalised
twin (models/folding.py), whose statistics are taken anew from the public examples when training is over.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from fedtiny.datasets.base import Dataset
from fedtiny.datasets.cache import cache_folder
from fedtiny.design.netaug import augmented_network, cross_entropy_of, netaug_backward, sort_channels
from fedtiny.design.transfer import fill, read_checkpoint
from fedtiny.errors import DataError, ModelError
from fedtiny.models.augmentation import NetAug
from fedtiny.models.base import Model, Pretraining
from fedtiny.models.checkpoint import Checkpoint, PublicShare
from fedtiny.models.folding import batch_normalized_twin, estimate_statistics, fold, is_folded
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples, FlatNetwork

_FORMAT = 1
"""Raised whenever the recipe's code changes what it computes, so that old cache entries are not used."""

_STATISTICS_BATCH = 500
_FEWEST_WITH_STATISTICS = 2

Progress = Callable[[int, int], None]
"""(steps done, steps in all) -> None."""


@dataclass(frozen=True)
class Shares:
    """Positions in the training set: what is public, and what the clients hold together."""

    public: np.ndarray
    private: np.ndarray


def public_count(model: Model, examples: int) -> int:
    """How many of the training examples are public: those that the network is, or was, pre-trained on."""
    seen = model.public if isinstance(model, Checkpoint) and model.public else model.pretrained
    return round(seen.share * examples) if isinstance(seen, Pretraining | PublicShare) else 0


def shares_of(dataset: Dataset, model: Model, streams: Streams) -> Shares:
    """Splits the training set (examples,) into the public share and the rest; both sorted."""
    count = len(dataset.train_targets)
    public = public_count(model, count)
    if not public:
        return Shares(np.arange(0), np.arange(count))
    seen = Streams(model.public.seed) if isinstance(model, Checkpoint) and model.public else streams
    order = seen.numpy("data", "public").permutation(count)
    return Shares(np.sort(order[:public]), np.sort(order[public:]))


def pretrain(
    network: nn.Module, examples: Examples, shares: Shares, recipe: Pretraining, streams: Streams, progress: Progress | None = None
) -> None:
    """Trains all values of a network in place, on the public examples of the recipe's classes.

    Raises DataError if there is no such example, or only one where statistics of batches are needed.
    """
    chosen = public_examples(examples, shares, recipe)
    _check_batches(network, chosen, recipe)
    if recipe.netaug is not None:
        _pretrain_augmented(network, examples, chosen, recipe, recipe.netaug, streams, progress)
    elif is_folded(network):
        twin = batch_normalized_twin(network)
        _train(twin, examples, chosen, recipe, streams, progress, smallest_batch=_FEWEST_WITH_STATISTICS)
        _fold(twin, network, examples, chosen)
    else:
        _train(network, examples, chosen, recipe, streams, progress)


def _check_batches(network: nn.Module, chosen: np.ndarray, recipe: Pretraining) -> None:
    if is_folded(network) and min(len(chosen), recipe.batch_size) < _FEWEST_WITH_STATISTICS:
        raise DataError(
            f"pre-training with batch normalisation needs batches of at least 2 examples, found batch_size {recipe.batch_size} and "
            f"{len(chosen)} public examples: raise model.pretrained.batch_size or share"
        )


def _fold(twin: nn.Module, network: nn.Module, examples: Examples, chosen: np.ndarray) -> None:
    """Fills a folded network from its trained twin, whose statistics are taken anew."""
    parts = np.array_split(chosen, -(-len(chosen) // _STATISTICS_BATCH))
    estimate_statistics(twin, (examples.inputs[torch.from_numpy(part)] for part in parts))
    fold(twin, network)


def _pretrain_augmented(
    network: nn.Module,
    examples: Examples,
    chosen: np.ndarray,
    recipe: Pretraining,
    netaug: NetAug,
    streams: Streams,
    progress: Progress | None,
) -> None:
    """Trains the network inside wider ones (netaug.py), with Adam on the same batches as without them."""
    values = torch.Generator().manual_seed(streams.integer("pretraining", "netaug", "values"))
    made = augmented_network(network, netaug, values)
    smallest = _FEWEST_WITH_STATISTICS if made.batch_normalized else 1
    generator = streams.numpy("pretraining", "netaug", "choices")
    flat = FlatNetwork(made.largest, [name for name, _ in made.largest.named_parameters()])
    parameter = nn.Parameter(flat.weights)
    parameter.grad = flat.gradients
    optimizer = torch.optim.Adam([parameter], lr=recipe.learning_rate)
    for step, (batch, begins_epoch) in enumerate(_batches(chosen, recipe, streams, smallest)):
        widths = step < netaug.width_until * recipe.steps
        if begins_epoch and widths and netaug.sort_channels:
            sort_channels(made.largest)
        flat.gradients.zero_()
        netaug_backward(made, examples.inputs[batch], cross_entropy_of(examples.targets[batch]), made.draw(generator, widths=widths))
        optimizer.step()
        if progress is not None:
            progress(step + 1, recipe.steps)
    if made.batch_normalized:
        _fold(made.export(), network, examples, chosen)
    else:
        network.load_state_dict(made.export().state_dict())


def _train(
    network: nn.Module,
    examples: Examples,
    chosen: np.ndarray,
    recipe: Pretraining,
    streams: Streams,
    progress: Progress | None,
    smallest_batch: int = 1,
) -> None:
    """Adam on the chosen examples, epoch by epoch; the end of an epoch that is smaller than the smallest batch is left out."""
    flat = FlatNetwork(network, [name for name, _ in network.named_parameters()])
    parameter = nn.Parameter(flat.weights)
    parameter.grad = flat.gradients
    optimizer = torch.optim.Adam([parameter], lr=recipe.learning_rate)
    for step, (batch, _) in enumerate(_batches(chosen, recipe, streams, smallest_batch)):
        flat.backward(examples.inputs[batch], examples.targets[batch])
        optimizer.step()
        if progress is not None:
            progress(step + 1, recipe.steps)


def _batches(chosen: np.ndarray, recipe: Pretraining, streams: Streams, smallest: int) -> Iterator[tuple[torch.Tensor, bool]]:
    """The positions of every step's examples, and whether an epoch begins with it."""
    order: list[int] = []
    generator = streams.numpy("pretraining", "batches")
    for _ in range(recipe.steps):
        begins = len(order) < smallest
        if begins:
            order = generator.permutation(len(chosen)).tolist()
        yield torch.from_numpy(chosen[order[: recipe.batch_size]]), begins
        del order[: recipe.batch_size]


def public_examples(examples: Examples, shares: Shares, recipe: Pretraining) -> np.ndarray:
    """Positions of the public examples whose classes the server sees, ascending. Raises DataError if there are none."""
    wanted, public = recipe.classes, shares.public
    chosen = public if wanted is None else public[np.isin(examples.targets.numpy(force=True)[public], wanted)]
    if not len(chosen):
        raise DataError(
            f"pre-training finds none of its classes {list(recipe.classes or ())} among the {len(public)} public examples: "
            "raise model.pretrained.share or name other classes"
        )
    return chosen


def pretrained_values(
    network: nn.Module,
    identity: dict[str, Any],
    train: Callable[[], None],
) -> None:
    """Fills a network with its pre-trained values: from the cache if it holds them, else by `train` and into the cache.

    `identity` is everything the values depend on, as plain JSON.
    """
    text = json.dumps({"format": _FORMAT, "torch": torch.__version__, **identity}, sort_keys=True)
    path = cache_folder() / "pretrained" / f"{hashlib.sha256(text.encode()).hexdigest()}.safetensors"
    if path.exists():
        try:
            load_values(network, path)
        except ModelError:
            path.unlink()
        else:
            return
    train()
    save_values(network, path)


def load_values(network: nn.Module, path: Path) -> None:
    """Fills a network in place with all the values of a .safetensors file. Raises ModelError if it is not there or does not fit."""
    own = network.state_dict()
    fill(own, read_checkpoint(path), frozenset(own), str(path))


def save_values(network: nn.Module, path: Path) -> None:
    """Writes a network's values as .safetensors, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    os.close(handle)
    try:
        save_file({name: value.detach().contiguous().cpu().clone() for name, value in network.state_dict().items()}, temporary)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
