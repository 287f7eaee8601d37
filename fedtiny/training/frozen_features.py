"""What frozen layers make of examples, computed once: layers below everything that any client trains never change during a run.

A network is a sequence of stages; those before the first one that trains make a *trunk*, whose outputs are the inputs of the rest. An
example's features are always computed in the same company, a block of its client's own examples in their order, so that they do
not depend on who asked first, or on what was forgotten in between. Blocks are kept up to a number of bytes; the one that was asked for
least recently goes first.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from fedtiny.training.local import LocalLearner

Stage = Callable[[Tensor], Tensor]
BLOCK: Final = 32
"""Examples in a block."""


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


class FrozenFeatures:
    """The outputs of a trunk, for the examples of clients."""

    def __init__(self, trunk: Sequence[Stage], most_bytes: int) -> None:
        self.trunk, self.most_bytes = trunk, most_bytes
        self.bytes = 0
        """What is kept now."""
        self._blocks: OrderedDict[tuple[int, int], Tensor] = OrderedDict()

    def of(self, lanes: Sequence[_Lane], chosen: np.ndarray) -> Tensor:
        """Features (clients * batch, ...) of the examples with these indices (clients, batch), each client's own."""
        return torch.cat([self._of_client(lane.learner, indices) for lane, indices in zip(lanes, chosen, strict=True)])

    def _of_client(self, learner: LocalLearner, indices: np.ndarray) -> Tensor:
        places = _places(learner.batches.indices, indices)
        blocks = {int(number): self._block(learner, int(number)) for number in np.unique(places // BLOCK)}
        if len(blocks) == 1:
            (block,) = blocks.values()
            return block.index_select(0, torch.from_numpy(places % BLOCK).to(block.device))
        starts, start = {}, 0
        for number, block in blocks.items():
            starts[number], start = start, start + len(block)
        rows = [starts[number] + row for number, row in zip((places // BLOCK).tolist(), (places % BLOCK).tolist(), strict=True)]
        return torch.cat(list(blocks.values())).index_select(0, torch.tensor(rows, device=block.device))

    def _block(self, learner: LocalLearner, number: int) -> Tensor:
        key = (learner.number, number)
        if key in self._blocks:
            self._blocks.move_to_end(key)
            return self._blocks[key]
        block = self._compute(learner, number)
        self._blocks[key] = block
        self.bytes += block.nbytes
        while self.bytes > self.most_bytes:
            _, oldest = self._blocks.popitem(last=False)
            self.bytes -= oldest.nbytes
        return block

    def _compute(self, learner: LocalLearner, number: int) -> Tensor:
        inputs = learner.examples_of_all.inputs
        own = torch.from_numpy(learner.batches.indices[number * BLOCK : (number + 1) * BLOCK])
        with torch.no_grad():
            flow = inputs.index_select(0, own.to(inputs.device))
            for stage in self.trunk:
                flow = stage(flow)
        return flow


def _places(own: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Where examples with these indices stand among a client's own."""
    ascending = bool((own[1:] >= own[:-1]).all())
    order = np.arange(len(own)) if ascending else np.argsort(own, kind="stable")
    places: np.ndarray = order[np.searchsorted(own, indices, sorter=None if ascending else order)]
    return places
