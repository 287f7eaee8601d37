"""Batches: which examples a client learns from in which of its local steps. No torch here.

Batch n of a client depends on (seed, client, n) only: every epoch is a fresh permutation of the client's examples, the
short last batch is kept, and counting runs on across rounds.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fedtiny.randomness import Streams


@dataclass(frozen=True)
class Batches:
    """The endless sequence of one client's batches; indices point into the whole training set."""

    indices: np.ndarray
    batch_size: int
    streams: Streams
    path: tuple[str | int, ...]

    @property
    def per_epoch(self) -> int:
        """How many batches one pass over the client's data takes."""
        return -(-len(self.indices) // self.batch_size)

    def size(self, step: int) -> int:
        """How many examples batch `step` (counted from 1) holds."""
        position = (step - 1) % self.per_epoch
        return min(self.batch_size, len(self.indices) - position * self.batch_size)

    def batch(self, step: int) -> np.ndarray:
        """Indices (batch,) of batch `step`, counted from 1; one batch that is all the data is taken in order."""
        if self.per_epoch == 1:
            return self.indices
        chosen: np.ndarray = self.indices[self.places(step)]
        return chosen

    def several(self, first: int, count: int) -> list[np.ndarray]:
        """Batches `first` .. `first + count - 1`, each as `batch` gives it."""
        block = self.block(first, count)
        return [self.batch(step) for step in range(first, first + count)] if block is None else list(block)

    def block(self, first: int, count: int) -> np.ndarray | None:
        """Batches `first` .. `first + count - 1` at once, indices (count, batch); None unless they are whole batches of one epoch."""
        places = self.places_of_block(first, count)
        if places is None:
            return None
        chosen: np.ndarray = self.indices[places]
        return chosen

    def places(self, step: int) -> np.ndarray:
        """Where the examples of batch `step` stand among the client's own, (batch,)."""
        if self.per_epoch == 1:
            return np.arange(len(self.indices))
        epoch, position = divmod(step - 1, self.per_epoch)
        return self._order(epoch)[position * self.batch_size : (position + 1) * self.batch_size]

    def places_of_block(self, first: int, count: int) -> np.ndarray | None:
        """As `block`, but where the examples stand among the client's own."""
        epoch, position = divmod(first - 1, self.per_epoch)
        start, end = position * self.batch_size, (position + count) * self.batch_size
        if self.per_epoch == 1 or end > len(self.indices):
            return None
        return self._order(epoch)[start:end].reshape(count, self.batch_size)

    def _order(self, epoch: int) -> np.ndarray:
        return _epoch_order(self.streams, (*self.path, "batches", epoch), len(self.indices))


@lru_cache(maxsize=4096)
def _epoch_order(streams: Streams, path: tuple[str | int, ...], examples: int) -> np.ndarray:
    return streams.numpy(*path).permutation(examples)
