"""Who is asked what in DGA, in plain numbers: pieces of work, and which of them carry a model, averages or nothing (see dga.py).

These are the server's decisions without its vectors: the same whether a message is then made of an order or only its size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

Piece = Literal["before", "after", "whole"]

KEPT_AVERAGES: Final = 100
"""A client that missed more averages than this gets the model instead of their sum: the same bytes, and memory stays bounded."""


@dataclass(frozen=True)
class Schedule:
    """K, and where in a round averages are applied.

    `lag` is the distance in rounds between a sum and the piece that carries its average; `before_steps` is d; `whole`: one message
    is one round.
    """

    local_steps: int
    whole: bool
    lag: int
    before_steps: int


@dataclass(frozen=True, slots=True)
class Order:
    """One message to be pushed."""

    node: int
    round: int
    piece: Piece
    steps: int
    """Gradients that it asks for."""
    carries: Literal["nothing", "model", "averages"]
    first: int = 0
    """The first round whose average is in the sum it carries."""
    through: int = 0
    """The last round whose average is in the sum or the model it carries."""
    awaits_average: bool = False
    """An average that belongs to the last step of this message comes with a later one."""


@dataclass(slots=True)
class _Known:
    """What the server knows of a client."""

    through: int = 0
    """The averages of rounds up to this one were sent to it."""
    reliable: bool = False
    """Whether it holds a model that the server can rely on."""


class Orders:
    """The orders of a run of `rounds` rounds; `cohort()` draws whom to ask in a round, once for each, ascending."""

    def __init__(self, schedule: Schedule, rounds: int, cohort: Callable[[], list[int]]) -> None:
        self.schedule, self.rounds = schedule, rounds
        self._draw = cohort
        self._cohorts: dict[int, list[int]] = {}
        self._clients: dict[int, _Known] = {}

    def start(self) -> list[Order]:
        """What needs no average: the first piece, and the rounds before the first correction."""
        orders = [] if self.schedule.whole or not self.rounds else self._orders("before", 1)
        for number in range(1, min(self.schedule.lag, self.rounds) + 1):
            orders += self._burst(number)
        return orders

    def after(self, number: int) -> list[Order]:
        """What the average of round `number` sets free."""
        return self._burst(number + self.schedule.lag) if number + self.schedule.lag <= self.rounds else []

    def cohort(self, number: int) -> list[int]:
        """Whom round `number` asks."""
        if number not in self._cohorts:
            self._cohorts[number] = self._draw()
        return self._cohorts[number]

    def forget(self, number: int) -> None:
        """Nothing more is asked about round `number`."""
        self._cohorts.pop(number, None)

    def failed(self, node: int) -> None:
        """What a client did with a message is unknown, so the next one brings it back with a whole model."""
        self._clients[node].reliable = False

    def _burst(self, number: int) -> list[Order]:
        if self.schedule.whole:
            return self._orders("whole", number)
        # after(t) first: it takes the average, so that before(t+1) finds nothing owed to the clients that did round t
        orders = self._orders("after", number)
        return orders + self._orders("before", number + 1) if number < self.rounds else orders

    def _orders(self, piece: Piece, number: int) -> list[Order]:
        return [self._order(piece, number, node) for node in self.cohort(number)]

    def _order(self, piece: Piece, number: int, node: int) -> Order:
        schedule = self.schedule
        client = self._clients.get(node)
        if client is None:
            client = self._clients[node] = _Known()
        steps = {"before": schedule.before_steps, "after": schedule.local_steps - schedule.before_steps}.get(piece, schedule.local_steps)
        awaits = piece == "whole" and number >= schedule.lag
        # before(t) and whole(t) bring a client to where round t-1 left the others; after(t) brings the average of its step d
        through = max(0, number - schedule.lag - (1 if piece == "before" else 0))
        if client.reliable and through - client.through > KEPT_AVERAGES:
            client.reliable = False
        if piece != "after" and not client.reliable:
            client.reliable, client.through = True, through
            return Order(node, number, piece, steps, "model", through=through, awaits_average=awaits)
        if client.reliable and through > client.through:
            first, client.through = client.through + 1, through
            return Order(node, number, piece, steps, "averages", first, through, awaits)
        return Order(node, number, piece, steps, "nothing", awaits_average=awaits)
