"""The clients of one pass, and their batches side by side."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fedtiny.training.local import LocalLearner
from fedtiny.training.local_work import LocalWork
from fedtiny.training.optimizer import Adam, Optimizer, at_rate


@dataclass(frozen=True)
class Lane:
    """One client of a pass."""

    place: int
    """Where in the package it stands."""
    learner: LocalLearner
    work: LocalWork

    @property
    def largest_batch(self) -> int:
        """The most examples of one of its batches."""
        return min(self.learner.batches.batch_size, self.learner.examples)

    @property
    def goes_with(self) -> Hashable:
        """Equal for clients that can be trained in one pass."""
        part, work = None if self.learner.part is None else id(self.learner.part), self.work
        stated = (work.steps, work.rate, work.holds_last, work.proximal, work.learning_rate, work.sums_updates, work.applies)
        # Adam corrects its means by how many steps made them
        taken = (work.state is None, work.taken if isinstance(self.learner.optimizer, Adam) else 0)
        return *stated, taken, part, (self.largest_batch - 1).bit_length()

    @property
    def optimizer(self) -> Optimizer:
        """The client's optimizer, at the rate that its work states."""
        return at_rate(self.learner.optimizer, self.work.learning_rate)


class LaneBatches:
    """The batches of a pass, filled up to the size of the largest."""

    def __init__(self, lanes: Sequence[Lane], like: Tensor) -> None:
        self.lanes = lanes
        steps, largest = lanes[0].work.steps, max(lane.largest_batch for lane in lanes)
        self.places = np.empty((len(lanes), steps, largest), dtype=np.int64)
        """Where the examples stand among their client's own, (clients, steps, batch)."""
        indices = np.empty_like(self.places)
        shares = np.full((steps, len(lanes), largest), 1.0 / largest)
        for row, lane in enumerate(lanes):
            _fill(self.places[row], shares[:, row], lane)
            lane.learner.batches.indices.take(self.places[row], out=indices[row])
        self._examples = lanes[0].learner.examples_of_all
        self._indices = torch.from_numpy(indices.swapaxes(0, 1).reshape(steps, len(lanes) * largest)).to(self._examples.inputs.device)
        self._shares = torch.from_numpy(shares).to(like)
        self._targets = self._examples.targets.index_select(0, self._indices.flatten()).view(
            steps, len(lanes) * largest, *self._examples.targets.shape[1:]
        )

    def all_inputs(self) -> Iterator[Tensor]:
        """For one step after the other, (clients, batch, ...)."""
        inputs, clients = self._examples.inputs, len(self.lanes)
        return (inputs.index_select(0, indices).view(clients, -1, *inputs.shape[1:]) for indices in self._indices)

    @property
    def targets(self) -> Tensor:
        """(steps, clients * batch, ...)."""
        return self._targets

    @property
    def shares(self) -> Tensor:
        """How much every example counts in its client's mean, (steps, clients, batch)."""
        return self._shares


def _fill(places: np.ndarray, shares: np.ndarray, lane: Lane) -> None:
    """Sets one client's places (steps, batch), and its shares (steps, batch) where a batch is smaller than the largest."""
    batches, first, (steps, largest) = lane.learner.batches, lane.work.first_step, places.shape
    block = batches.places_of_block(first, steps)
    if block is not None and block.shape[1] == largest:
        places[:] = block
        return
    for step in range(steps):
        batch = batches.places(first + step)
        places[step, : len(batch)] = batch
        places[step, len(batch) :] = batch[0]
        shares[step] = np.where(np.arange(largest) < len(batch), 1.0 / len(batch), 0.0)
