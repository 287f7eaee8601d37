"""Which parameters a tensor was computed from, read from the graph that autograd recorded.

The order of calls does not tell parallel branches apart; the graph does. Parameters are numbered, a set of them is an
integer with one bit each, and every node's set is remembered, so a whole network costs one walk over its graph.
"""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.autograd.graph import Node


class Dependence:
    """The sets of parameters behind the nodes of one graph; `parameters` gives the numbering of the bits."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self._bits = {id(parameter): 1 << number for number, parameter in enumerate(parameters)}
        self._known: dict[Node, int] = {}

    def bit(self, parameter: Tensor | None) -> int:
        """The set that holds only this parameter; the empty set, 0, for anything else."""
        return self._bits.get(id(parameter), 0)

    def of(self, nodes: Iterable[Node]) -> int:
        """The union of the sets behind these nodes."""
        union = 0
        for node in nodes:
            union |= self._behind(node)
        return union

    def _behind(self, start: Node) -> int:
        waiting = [start]
        while waiting:
            node = waiting[-1]
            before = [before for before, _ in node.next_functions if before is not None]
            unknown = [one for one in before if one not in self._known]
            if unknown:
                waiting.extend(unknown)
                continue
            self._known[node] = self.bit(getattr(node, "variable", None)) | _union(self._known[one] for one in before)
            waiting.pop()
        return self._known[start]


def _union(sets: Iterable[int]) -> int:
    union = 0
    for one in sets:
        union |= one
    return union
