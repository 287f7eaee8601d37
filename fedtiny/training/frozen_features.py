"""What frozen layers make of examples, computed once: layers below everything that any client trains never change during a run.

A network is a sequence of stages; those before the first one that trains make a *trunk*, whose outputs are the inputs of the rest. An
example's features are always computed in the same company, a block of its client's own examples in their order, so that they do
not depend on who asked first, or on what was forgotten in between. They are kept up to a number of bytes; the client that was asked for
least recently is forgotten first.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fedtiny.training.local import LocalLearner

Stage = Callable[[Tensor], Tensor]
BLOCK: Final = 32
"""Examples in a block."""
_STRETCH_BYTES: Final = 32_000_000
"""Features that are brought together at a time."""


class _Lane(Protocol):
    @property
    def learner(self) -> LocalLearner: ...


def stages_of(network: nn.Module) -> list[Stage]:
    """What a network does to its inputs, one thing after the other."""
    stages = getattr(network, "stages", None)
    if stages is not None:
        return [part for stage in stages() for part in (stages_of(stage) if isinstance(stage, nn.Sequential) else [stage])]
    if isinstance(network, nn.Sequential):
        return [part for child in network for part in stages_of(child)]
    return [network]


@dataclass
class _Kept:
    """What is kept of one client: rows in the order of its own examples, and which blocks of them are there."""

    rows: Tensor
    there: np.ndarray
    bytes: int = 0


class FrozenFeatures:
    """The outputs of a trunk, for the examples of clients."""

    def __init__(self, trunk: Sequence[Stage], most_bytes: int) -> None:
        self.trunk, self.most_bytes = trunk, most_bytes
        self.bytes = 0
        """What is kept now."""
        self._clients: OrderedDict[int, _Kept] = OrderedDict()
        self._form: Tensor | None = None
        # found anew in every round, memory of this size costs more than what is written to it
        self._buffer: Tensor | None = None

    def of(self, lanes: Sequence[_Lane], places: np.ndarray) -> Iterator[Tensor]:
        """For one step after the other, features (clients, batch, ...) of the examples that stand at `places` (clients, steps, batch)
        among each client's own; found for many steps at a time, as far as the memory for that goes, which the next ones reuse."""
        clients, steps, batch = places.shape
        if not steps:
            return
        form = self._row(lanes[0].learner)
        stretch = max(1, _STRETCH_BYTES // (clients * batch * form.nbytes))
        for start in range(0, steps, stretch):
            part = places[:, start : start + stretch].reshape(clients, -1)
            found = self._space(form, part.shape)
            for row, lane in enumerate(lanes):
                self._put(lane.learner, part[row], found[row])
            yield from found.view(clients, -1, batch, *form.shape).unbind(1)

    def _row(self, learner: LocalLearner) -> Tensor:
        """A row of features, for its shape and type."""
        if self._form is None:
            self._form = self._compute(learner, 0)[0].clone()
        return self._form

    def _space(self, form: Tensor, shape: tuple[int, ...]) -> Tensor:
        elements = math.prod(shape) * form.numel()
        if self._buffer is None or len(self._buffer) < elements:
            self._buffer = form.new_empty(elements)
        return self._buffer[:elements].view(*shape, *form.shape)

    @torch.no_grad()
    def _put(self, learner: LocalLearner, places: np.ndarray, into: Tensor) -> None:
        """Writes the features of a client's examples to `into`, in the order of their places."""
        kept = self._clients.get(learner.number)
        if kept is None:
            kept = self._clients[learner.number] = self._nothing(learner)
        self._clients.move_to_end(learner.number)
        if not kept.there.all():
            self._complete(kept, learner, places)
        torch.index_select(kept.rows, 0, torch.from_numpy(places).to(kept.rows.device), out=into)
        while self.bytes > self.most_bytes:
            _, oldest = self._clients.popitem(last=False)
            self.bytes -= oldest.bytes

    def _nothing(self, learner: LocalLearner) -> _Kept:
        form = self._row(learner)
        # pages of memory that nobody has written to take no place yet
        return _Kept(form.new_empty(learner.examples, *form.shape), np.zeros(-(-learner.examples // BLOCK), dtype=bool))

    def _complete(self, kept: _Kept, learner: LocalLearner, places: np.ndarray) -> None:
        wanted = np.zeros_like(kept.there)
        wanted[places // BLOCK] = True
        for number in np.flatnonzero(wanted & ~kept.there).tolist():
            block = self._compute(learner, number)
            kept.rows[number * BLOCK : number * BLOCK + len(block)] = block
            kept.there[number] = True
            kept.bytes += block.nbytes
            self.bytes += block.nbytes

    def _compute(self, learner: LocalLearner, number: int) -> Tensor:
        inputs = learner.examples_of_all.inputs
        own = torch.from_numpy(learner.batches.indices[number * BLOCK : (number + 1) * BLOCK])
        with torch.no_grad():
            flow = inputs.index_select(0, own.to(inputs.device))
            for stage in self.trunk:
                flow = stage(flow)
        return flow
