"""Server-side pre-training: what a network knows before time 0.

Training only biases or lite residual modules of a random, frozen backbone means nothing, so TinyTL starts from a
pre-trained network. Here the server trains the whole network, lite residual modules included, with Adam (Kingma and Ba,
ICLR 2015) on a public share of the training data that no client holds, if wanted on some classes only. It is
deterministic, takes no virtual time, and is cached by its content: the network, the data, the seed and the recipe.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from fedtiny.datasets.base import Dataset
from fedtiny.datasets.cache import cache_folder
from fedtiny.errors import DataError, ModelError
from fedtiny.models.base import Pretraining
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples, FlatNetwork

_FORMAT = 1
"""Raised whenever the recipe's code changes what it computes, so that old cache entries are not used."""

Progress = Callable[[int, int], None]
"""(steps done, steps in all) -> None."""


@dataclass(frozen=True)
class Shares:
    """Positions in the training set: what is public, and what the clients hold together."""

    public: np.ndarray
    private: np.ndarray


def shares_of(dataset: Dataset, pretrained: Pretraining | str | None, streams: Streams) -> Shares:
    """Splits the training set (examples,) into the public share and the rest; both sorted."""
    count = len(dataset.train_targets)
    if not isinstance(pretrained, Pretraining):
        return Shares(np.arange(0), np.arange(count))
    order = streams.numpy("data", "public").permutation(count)
    public = round(pretrained.share * count)
    return Shares(np.sort(order[:public]), np.sort(order[public:]))


def pretrain(
    flat: FlatNetwork, examples: Examples, shares: Shares, recipe: Pretraining, streams: Streams, progress: Progress | None = None
) -> None:
    """Trains a network in place, on the public examples of the recipe's classes.

    `flat` must have every parameter trainable. Raises DataError if there is no such example.
    """
    chosen = _of_classes(examples, shares.public, recipe)
    parameter = nn.Parameter(flat.weights)
    parameter.grad = flat.gradients
    optimizer = torch.optim.Adam([parameter], lr=recipe.learning_rate)
    order: list[int] = []
    generator = streams.numpy("pretraining", "batches")
    for step in range(recipe.steps):
        if not order:
            order = generator.permutation(len(chosen)).tolist()
        batch = torch.from_numpy(chosen[order[: recipe.batch_size]])
        del order[: recipe.batch_size]
        flat.backward(examples.inputs[batch], examples.targets[batch])
        optimizer.step()
        if progress is not None:
            progress(step + 1, recipe.steps)


def _of_classes(examples: Examples, public: np.ndarray, recipe: Pretraining) -> np.ndarray:
    wanted = recipe.classes
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
    """Fills a network in place from a .safetensors file. Raises ModelError if it is not there or does not fit."""
    try:
        values = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} cannot be read as safetensors ({error}): write one with `fedtiny pretrain SCENARIO --out FILE`"
        ) from error
    own = network.state_dict()
    wrong = [name for name in own.keys() | values.keys() if name not in own.keys() & values.keys() or own[name].shape != values[name].shape]
    if wrong:
        raise ModelError(
            f"{path} does not fit the network: {len(wrong)} tensors differ, among them {sorted(wrong)[:3]}; "
            "the checkpoint must come from the same model, input size, classes and lite_residual"
        )
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)


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
