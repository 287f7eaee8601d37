"""Training that is done once: a way of training packages, with a journal in front of it.

Evaluating the global model is the same work in every cell that trains the same, and often as dear as training: the journal keeps that
too, by the world and the bits of the trainable values.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from fedtiny.federation.deferred_clients import Training
from fedtiny.federation.records import Vector
from fedtiny.flower_app import quality_of
from fedtiny.preparation import World
from fedtiny.simulated_clients import TrainingOf
from fedtiny.training.evaluation import Quality
from fedtiny.training.journal import Journal, digest_of, key_of
from fedtiny.training.journalled_work import journalled
from fedtiny.world_identity import data_of_clients, identity_key, world_identity


def remembering(training: TrainingOf, journal: Journal) -> TrainingOf:
    """Packages come from the journal where it holds them, and from `training` otherwise.

    Who watches every step (`observe`) must not use it: what is found in the journal is not trained again.
    """

    @contextmanager
    def remembered(world: World) -> Iterator[Training]:
        key = identity_key(world_identity(world))
        with training(world) as inner:
            packages = f"packages of {inner.clients}".encode()
            execute = journalled(inner.execute, journal, key + packages, data_of_clients(world))
            yield replace(inner, execute=execute, quality=remembered_quality(world, journal, key))

    return remembered


def remembered_quality(world: World, journal: Journal, key: bytes) -> Callable[[Vector], Quality]:
    """What a model with these trainable values is worth on the test set, from the journal if it knows; `key` is the world's."""

    def quality(trainable: Vector) -> Quality:
        entry = key_of("quality", key, digest_of(trainable))
        if (known := journal.read(entry)) is not None:
            return _quality(known)
        found = quality_of(world, trainable)
        journal.write(entry, _arrays(found))
        return found

    return quality


def _arrays(quality: Quality) -> dict[str, np.ndarray]:
    return {
        "accuracy": np.array([] if quality.accuracy is None else [quality.accuracy], dtype=np.float64),
        "loss": np.array([quality.loss], dtype=np.float64),
        "labels": np.array(quality.labels, dtype=np.int64).reshape(-1, 2),
    }


def _quality(arrays: dict[str, np.ndarray]) -> Quality:
    accuracy, (loss,) = arrays["accuracy"].tolist(), arrays["loss"].tolist()
    return Quality(accuracy[0] if accuracy else None, loss, tuple((examples, right) for examples, right in arrays["labels"].tolist()))
