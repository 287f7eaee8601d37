"""A server's correspondence: whom it sends the model to and whose reply comes first, on any Grid and in a plan alike.

A server that does not wait for everybody is a loop over these few verbs. The loop decides; the correspondence carries out, with
messages and vectors (GridCorrespondence) or with sizes alone (TimedCorrespondence in asynchronous_timing.py), so that a run and its
plan cannot disagree.
"""

import logging
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import EVERYTHING, Elements, read_reply
from fedtiny.federation.flower_internals import instructions, put
from fedtiny.federation.records import ARRAYS, CONFIG, PARTITION_ID, ROUND, Vector, array_record, values_of
from fedtiny.strategies.base import EvaluateFunction, Parts
from fedtiny.strategies.collect import gather, is_there, members, now, wait_for_any
from fedtiny.strategies.coverage import own_part, require_whole
from fedtiny.strategies.round_rates import LEARNING_RATE, for_messages, rates_of

_log = logging.getLogger("flwr")


@dataclass(frozen=True, eq=False, slots=True)
class Letter:
    """The model on its way to a node and what comes back."""

    node: int
    version: int
    """Of the model that the node was sent."""
    failed: bool = False
    """Whether an error came in place of a reply."""
    start: Vector | None = None
    """That model, where there is one, to look at."""
    reply: Message | None = None


class Correspondence(Protocol):
    """What a server's loop may do."""

    @property
    def nodes(self) -> Sequence[int]:
        """All that take part, ascending."""

    @property
    def now(self) -> float:
        """Seconds; only differences mean something."""

    def gather(self, wanted: int) -> Sequence[int]:
        """Those that are there, ascending, as soon as there are so many; RoundError where so many will never be."""

    def is_there(self, node: int) -> bool:
        """Whether a node is there."""

    def sample(self, devices: Sequence[int], count: int) -> list[int]:
        """Draws so many of them under the run's seed, as Python's `random.sample` does."""

    def send(self, nodes: Sequence[int], version: int) -> None:
        """Sends the model, which has this version, to nodes that take their local steps from it."""

    def first(self, timeout: float | None) -> Letter | None:
        """The reply that comes first, or None if none comes within the timeout (s); with 0 s, one that comes at this instant."""

    def use(self, letter: Letter, staleness: int) -> None:
        """Puts a reply into the next version."""

    def publish(self, version: int) -> None:
        """Makes the next version of all replies that were used since the last; version 0 is the initial model."""


@dataclass(frozen=True, eq=False, slots=True)
class Contribution:
    """A client's reply, as the model takes it in."""

    own: Elements
    """Which elements the client trains."""
    weight: float
    """By `strategy.weighting`."""
    staleness: int
    start: Vector
    """The whole model that it started from, (trainable elements,)."""
    values: Vector
    """Where it ended, (own elements,)."""


class ServerModel(Protocol):
    """How a strategy makes versions of the model."""

    def add(self, contribution: Contribution) -> None:
        """Takes in one reply, whose arrays may then go."""

    def version(self) -> Vector:
        """The model with all that was added, (trainable elements,); to look at until the next `add`."""


@dataclass(frozen=True)
class Instructions:
    """What the messages of a run say, beside the model and its version."""

    train_config: ConfigRecord
    extras: dict[str, int | float | bool | str]
    weight_key: str
    parts: Parts | None


class GridCorrespondence:
    """The server's letters as Flower messages on any Grid."""

    def __init__(self, grid: Grid, model: ServerModel, told: Instructions, evaluate: EvaluateFunction) -> None:
        self.grid, self.model, self.told, self.evaluate = grid, model, told, evaluate
        self.nodes: Sequence[int] = members(grid)
        self._rates = rates_of(told.train_config)
        self._record = array_record(model.version())
        self._start = values_of(self._record)
        self._config = for_messages(told.train_config)
        self._config.update(told.extras)
        self._content = RecordDict({ARRAYS: self._record, CONFIG: self._config})
        """Of the next messages: a Grid copies it, or writes it out, when they are pushed."""
        self._sent: dict[str, Letter] = {}
        self._came: deque[Letter] = deque()
        self._used: list[tuple[Letter, int]] = []

    @property
    def now(self) -> float:
        """See `Correspondence.now`."""
        return now(self.grid)

    def gather(self, wanted: int) -> Sequence[int]:
        """See `Correspondence.gather`."""
        return gather(self.grid, wanted)

    def is_there(self, node: int) -> bool:
        """See `Correspondence.is_there`."""
        return is_there(self.grid, node)

    def sample(self, devices: Sequence[int], count: int) -> list[int]:
        """See `Correspondence.sample`: from the global generator, as Flower's own strategies draw."""
        return random.sample(devices, count)

    def send(self, nodes: Sequence[int], version: int) -> None:
        """See `Correspondence.send`; replies are matched by message, so a node may be sent several."""
        put(self._config, ROUND, version + 1)
        put(self._config, LEARNING_RATE, self._rates(version + 1))
        put(self._content, ARRAYS, self._record)
        ids = self.grid.push_messages(instructions(self._content, nodes, "train", group_id=str(version + 1)))
        self._sent |= {message_id: Letter(node, version, start=self._start) for message_id, node in zip(ids, nodes, strict=True)}

    def first(self, timeout: float | None) -> Letter | None:
        """See `Correspondence.first`. What failed is logged."""
        if not self._came:
            self._came.extend(self._answered(reply) for reply in wait_for_any(self.grid, list(self._sent), timeout))
        return self._came.popleft() if self._came else None

    def _answered(self, reply: Message) -> Letter:
        sent = self._sent.pop(reply.metadata.reply_to_message_id)
        if reply.has_error():
            _log.warning("node %d failed on version %d: %s", sent.node, sent.version, reply.error.reason)
        return Letter(sent.node, sent.version, reply.has_error(), sent.start, reply)

    def use(self, letter: Letter, staleness: int) -> None:
        """See `Correspondence.use`: it is read when the version is made, so that as much as possible is trained together."""
        self._used.append((letter, staleness))

    def publish(self, version: int) -> None:
        """See `Correspondence.publish`."""
        for letter, staleness in self._used:
            self.model.add(self._contribution(letter, staleness))
        if self._used:
            self._record = array_record(self.model.version())
            self._start = values_of(self._record)
        self._used.clear()
        self.evaluate(version, self._record, 0.0)

    def _contribution(self, letter: Letter, staleness: int) -> Contribution:
        reply, start = read_reply(cast(Message, letter.reply)), cast(Vector, letter.start)
        client, values, own = cast(int, reply.metrics[PARTITION_ID]), reply.arrays, cast(Elements, EVERYTHING)
        if values is None:
            raise SimulationError(f"client {client} sent no values")
        _log.info("client %d's reply to version %d goes into version %d", client, letter.version, letter.version + 1 + staleness)
        if self.told.parts is None:
            require_whole(client, values, len(start))
        else:
            own = own_part(self.told.parts, client, values)
        return Contribution(own, float(reply.metrics[self.told.weight_key]), staleness, start, values)
