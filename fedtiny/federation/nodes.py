"""Nodes of a simulated federation, made when the first message reaches them: a million enrolled devices cost what the cohort costs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from flwr.app import Context, RecordDict, UserConfig

from fedtiny.federation.flower_internals import RUN_ID
from fedtiny.federation.task import Node


@dataclass(frozen=True, eq=False)
class NodesWhenAsked(Mapping[int, Node]):
    """Nodes by their ids, each made once: the id of device n is n + `first`.

    `numbers` are the devices that take part, ascending; `takes_part` tells a number of one from others.
    """

    numbers: Sequence[int]
    takes_part: Callable[[int], bool]
    make: Callable[[int], Node]
    """What makes the node of a device."""
    first: int
    _made: dict[int, Node] = field(default_factory=dict, repr=False)

    def __getitem__(self, node_id: int) -> Node:
        """The node with this id; KeyError where there is none."""
        node = self._made.get(node_id)
        if node is None:
            if node_id not in self:
                raise KeyError(node_id)
            node = self._made[node_id] = self.make(node_id - self.first)
        return node

    def __contains__(self, node_id: object) -> bool:
        """Whether there is a node with this id."""
        return node_id in self._made or (isinstance(node_id, int) and self.takes_part(node_id - self.first))

    def __iter__(self) -> Iterator[int]:
        """All ids, ascending."""
        return (number + self.first for number in self.numbers)

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.numbers)


def node_context(node_id: int, partition: int, partitions: int, run_config: UserConfig | None = None) -> Context:
    """A fresh Flower context for a node: its partition in `node_config`, the app's settings, an empty state."""
    return Context(
        run_id=RUN_ID,
        node_id=node_id,
        node_config={"partition-id": partition, "num-partitions": partitions},
        state=RecordDict(),
        run_config=dict(run_config or {}),
    )
