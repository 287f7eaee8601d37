"""DGA's server half: who is asked what, and the averages (see dga.py for the algorithm)."""

import logging
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import cast

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedtiny.federation.client_work import EVERYTHING, ClientReply, Elements, read_reply
from fedtiny.federation.flower_internals import instructions
from fedtiny.federation.records import ARRAYS, CONFIG, LOCAL_STEPS, PARTITION_ID, ROUND, Vector, array_record
from fedtiny.strategies.base import no_replies
from fedtiny.strategies.collect import gather, now, wait_for_watching
from fedtiny.strategies.coverage import coverage, own_part
from fedtiny.strategies.dga_client import APPLIED, AWAITS_AVERAGE, PIECE, STARTS
from fedtiny.strategies.dga_orders import KEPT_AVERAGES, TOLD, Order, Orders
from fedtiny.strategies.dga_rules import Rules
from fedtiny.strategies.round_rates import LEARNING_RATE, SUMS_UPDATES
from fedtiny.strategies.round_trips import Reply

_log = logging.getLogger("flwr")


@dataclass
class _Client:
    """What the server knows of a client."""

    examples: float | None = None
    own: Elements = field(default_factory=lambda: EVERYTHING)
    """What it trains; a client that was never heard from is taken to train everything."""


@dataclass
class _Round:
    """One round until its average exists."""

    ids: dict[str, int] = field(default_factory=dict)
    """Message -> node, for the messages whose replies carry sums."""
    pushed: float = 0.0
    shares: dict[int, float] = field(default_factory=dict)
    mass: Vector | None = None
    """In a mixed fleet, of the clients asked: the summed p_i of those who train each element, (trainable elements,)."""


@dataclass(frozen=True)
class _Awaited:
    """A piece of an earlier round whose reply may still come."""

    round: int
    node: int
    carries_sum: bool


@dataclass(frozen=True)
class _Answer:
    """A piece and what came of it: a reply, or the reason why there is none."""

    piece: _Awaited
    reply: ClientReply | None
    failure: str | None = None


@dataclass(frozen=True)
class _Sum:
    """One client's sum of gradients of a round."""

    round: int
    client: int
    node: int
    vector: Vector
    """(own elements,)"""


class DGAServer:
    """The server's loop in three steps: `push_start`, then for every round `collect` and `push_after`."""

    def __init__(self, rules: Rules, grid: Grid, start: Vector, num_rounds: int) -> None:
        self.rules, self.grid, self.num_rounds = rules, grid, num_rounds
        self.lost_mass = 0.0
        """Sum of the weights p_i of contributions that no average will ever contain."""
        self._first = start
        self._total = np.zeros_like(start, dtype=np.float64)
        self._averages: dict[int, Vector] = {}
        self._orders = Orders(rules.schedule, num_rounds, self._sampled)
        self._clients: defaultdict[int, _Client] = defaultdict(_Client)
        self._rounds: defaultdict[int, _Round] = defaultdict(_Round)
        self._behind: dict[str, _Awaited] = {}
        self._collected_at = now(grid)

    def model(self) -> Vector:
        """W = w_1 - eta (sum of the averages so far), shape (trainable elements,)."""
        return (self._first.astype(np.float64) - self.rules.rate * self._total).astype(self._first.dtype)

    def delay(self, number: int) -> int:
        """D of a round, until `push_after` lets it go."""
        return self._orders.delay(number)

    # --- pushing ------------------------------------------------------------------------------------------------

    def push_start(self) -> None:
        """Pushes what needs no average: the first piece, and the rounds before the first correction."""
        self._push(self._orders.start())

    def push_after(self, number: int) -> None:
        """Pushes what the average of round `number` sets free."""
        self._push(self._orders.after(number))
        self._averages.pop(number - KEPT_AVERAGES, None)
        awaited = {piece.round for piece in self._behind.values()}
        for old in [old for old in self._rounds if old <= number and old not in awaited]:
            del self._rounds[old]
            self._orders.forget(old)

    def _sampled(self) -> list[int]:
        nodes = gather(self.grid, self.rules.wanted_nodes)
        # Flower's FedAvg draws from the global generator; drawing the same way asks the same devices under one seed
        return sorted(random.sample(nodes, self.rules.cohort_size(len(nodes))))

    def _messages(self, orders: list[Order]) -> Iterator[Message]:
        # what says the same to all is made once, and weighed once by a grid
        contents: dict[tuple[object, ...], RecordDict] = {}
        for told, alike in groupby(orders, attrgetter(*TOLD)):
            same = list(alike)
            content = contents[told] = contents.get(told) or self._content(same[0])
            yield from instructions(content, [order.node for order in same], "train", group_id=str(same[0].round))

    def _content(self, order: Order) -> RecordDict:
        rules, number = self.rules, order.round
        config = ConfigRecord({ROUND: number, PIECE: order.piece, LOCAL_STEPS: order.steps, LEARNING_RATE: rules.rates(number)})
        if rules.sums_updates:
            config[SUMS_UPDATES] = True
        if order.piece == "whole":
            config[AWAITS_AVERAGE] = order.awaits_average
        content = RecordDict({CONFIG: config})
        if order.carries == "model":
            content[ARRAYS] = array_record(self.model())
            config[STARTS] = True
        elif order.carries == "averages":
            content[ARRAYS] = array_record(self._owed(order.first, order.through))
        if order.carries != "nothing":
            config[APPLIED] = order.through
        return content

    def _owed(self, first: int, last: int) -> Vector:
        owed = self._averages[first]
        for number in range(first + 1, last + 1):
            owed = owed + self._averages[number]
        return owed

    def _push(self, orders: list[Order]) -> None:
        ids = self.grid.push_messages(list(self._messages(orders)))
        pushed = now(self.grid)
        for message_id, order in zip(ids, orders, strict=True):
            if self.rules.chooser is not None:
                self.rules.chooser.trips.pushed(order.node, order.round, order.piece, order.steps, pushed)
            if order.piece == "before":
                self._behind[message_id] = _Awaited(order.round, order.node, carries_sum=False)
            else:
                current = self._rounds[order.round]
                current.ids[message_id], current.pushed = order.node, pushed

    # --- collecting ---------------------------------------------------------------------------------------------

    def collect(self, number: int) -> None:
        """Waits for the sums of a round and forms its average; RoundError if there is nothing to average."""
        current = self._rounds[number]
        pieces = {message_id: _Awaited(number, node, carries_sum=True) for message_id, node in current.ids.items()}
        came, came_late, times = wait_for_watching(self.grid, list(pieces), list(self._behind), self._patience(current))
        self._collected_at = now(self.grid)
        self._watch({**pieces, **self._behind}, [*came, *came_late], times)
        in_time, late = self._answers(came, pieces), self._answers(came_late, self._behind)
        self._behind |= pieces
        sums, late_sums = self._sums(in_time), self._sums(late)
        if not sums and not (late_sums and self.rules.carry):
            raise no_replies(number, len(self._orders.cohort(number)), self.rules.timeout)
        self._average(number, sums, late_sums)

    def _patience(self, current: _Round) -> float | None:
        patience = self.rules.timeout
        return None if patience is None else max(0.0, max(current.pushed, self._collected_at) + patience - now(self.grid))

    def _watch(self, pieces: dict[str, _Awaited], replies: list[Message], times: dict[str, float]) -> None:
        """Tells what chooses the delay which replies came when."""
        if self.rules.chooser is None:
            return
        came = ((reply, pieces[reply.metadata.reply_to_message_id]) for reply in replies)
        self.rules.chooser.trips.tell(
            Reply(
                piece.node,
                piece.round,
                "after" if piece.carries_sum else "before",
                times[reply.metadata.reply_to_message_id],
                failed=reply.has_error(),
            )
            for reply, piece in came
        )

    def _answers(self, replies: list[Message], pieces: dict[str, _Awaited]) -> list[_Answer]:
        """The replies with the pieces they answer, which are no longer awaited. Of a client that is known, only sums are read: what
        it did besides need not be trained yet."""
        found = []
        for message in replies:
            piece = pieces.pop(message.metadata.reply_to_message_id)
            client = self._clients[piece.node]
            if message.has_error():
                found.append(_Answer(piece, None, message.error.reason))
            elif piece.carries_sum or client.examples is None:
                reply = read_reply(message)
                client.examples = float(reply.metrics[self.rules.weight_key])
                if self.rules.parts is not None:
                    client.own = self.rules.parts[cast(int, reply.metrics[PARTITION_ID])]
                found.append(_Answer(piece, reply))
        return found

    def _sums(self, answers: list[_Answer]) -> list[_Sum]:
        """The sums that came, by round and in client order, so that it does not matter who was faster; what failed is remembered."""
        found = []
        for answer in answers:
            piece, reply = answer.piece, answer.reply
            if reply is not None and reply.arrays is not None:
                client = cast(int, reply.metrics[PARTITION_ID])
                if self.rules.parts is not None:
                    own_part(self.rules.parts, client, reply.arrays)
                found.append(_Sum(piece.round, client, piece.node, reply.arrays))
            elif reply is None or piece.carries_sum:
                self._failed(piece, answer.failure)
        return sorted(found, key=lambda item: (item.round, item.client))

    def _failed(self, piece: _Awaited, reason: str | None) -> None:
        # what the client did with the message is unknown, so the next message brings it back with a whole model
        _log.warning("round %d: node %d failed: %s", piece.round, piece.node, reason or "it lacks what the round builds on")
        self._orders.failed(piece.node)
        if piece.carries_sum:
            self.lost_mass += self._shares(piece.round)[piece.node]

    def _average(self, number: int, sums: list[_Sum], late: list[_Sum]) -> None:
        average = np.zeros_like(self._first)
        shares = self._shares(number) if self.rules.carry else self._shares_over([item.node for item in sums])
        mass = self._mass(number) if self.rules.carry else self._mass_over(shares)
        for item in sums:
            self._add(average, item, shares[item.node], mass)
        for item in late:
            if self.rules.carry:
                self._add(average, item, self._shares(item.round)[item.node], self._mass(item.round))
            else:
                self.lost_mass += self._shares(item.round)[item.node]
        if self.rules.chooser is not None:
            spread = ((item.client, self._spread(item, average)) for item in sums)
            self.rules.chooser.drift.observe(number, self.delay(number), spread, average)
        self._averages[number] = average
        self._total += average

    def _add(self, average: Vector, item: _Sum, share: float, mass: Vector | None) -> None:
        if mass is None:
            average += item.vector * share
        else:
            own = self._clients[item.node].own
            average[own] += item.vector * (share / mass[own])

    def _spread(self, item: _Sum, average: Vector) -> Vector:
        """A sum on all elements: where a client trains nothing it does not deviate from the average."""
        if self.rules.parts is None:
            return item.vector
        spread = average.copy()
        spread[self._clients[item.node].own] = item.vector
        return spread

    def _mass(self, number: int) -> Vector | None:
        """The summed p_i of a round by element, fixed with them; None in a uniform fleet, where it is 1."""
        current = self._rounds[number]
        if current.mass is None:
            current.mass = self._mass_over(self._shares(number))
        return current.mass

    def _mass_over(self, shares: dict[int, float]) -> Vector | None:
        if self.rules.parts is None:
            return None
        return coverage(((self._clients[node].own, share) for node, share in shares.items()), len(self._first))

    def _shares(self, number: int) -> dict[int, float]:
        """p_i of a round over the clients asked, fixed when its average is formed, so that they sum to 1 whoever is late."""
        current = self._rounds[number]
        if not current.shares:
            current.shares = self._shares_over(self._orders.cohort(number))
        return current.shares

    def _shares_over(self, nodes: list[int]) -> dict[int, float]:
        """p_i over these nodes, summing to 1; a client whose size nobody knows yet counts like the average known one."""
        known = [examples for node in nodes if (examples := self._clients[node].examples) is not None]
        guess = sum(known) / len(known) if known else 1.0
        weights = {node: guess if (examples := self._clients[node].examples) is None else examples for node in nodes}
        total = sum(weights.values())
        return {node: weight / total for node, weight in weights.items()}
