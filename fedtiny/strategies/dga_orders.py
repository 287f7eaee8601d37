"""Who is asked what in DGA, in plain numbers: pieces of work, and which of them carry a model, averages or nothing (see dga.py).

These are the server's decisions without its vectors: the same whether a message is then made of an order or only its size.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final, Literal

Piece = Literal["before", "after", "whole"]

KEPT_AVERAGES: Final = 100
"""A client that missed more averages than this gets the model instead of their sum: the same bytes, and memory stays bounded."""


@dataclass(frozen=True)
class Schedule:
    """K, and D of every round.

    `delay(t)` is asked once for each round, in order, when the first message of round t is ordered: what it answers may depend on all that
    has come by then. `whole`: one message is one round.
    """

    local_steps: int
    whole: bool
    delay: Callable[[int], int]
    measures: bool = False
    """Whether the first two rounds ask the same clients: one's own two replies say how long it computes."""

    @classmethod
    def constant(cls, local_steps: int, delay: int, *, whole: bool) -> "Schedule":
        """The same D in every round."""
        return cls(local_steps, whole, lambda _: delay)


@dataclass(frozen=True, slots=True)
class _Point:
    """Where round t is corrected: after `before_steps` = d gradients, by all averages through that of round `through` = T_t.

    With s = (D_t - 1)//K the average of round t - 1 - s has come by then; `needs` = t - 1 - s is also what round t waits for. Where D grows
    nothing may be due for a while, and where it shrinks several averages are due at once: T_t = max(T_{t-1}, t - 1 - s).
    """

    before_steps: int
    needs: int
    through: int


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


TOLD: Final = tuple(field.name for field in fields(Order) if field.name != "node")
"""What an order says, to whomever it goes: orders that are equal in these are one message for many."""


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
        self._points: dict[int, _Point] = {0: _Point(0, 0, 0)}
        self._delays: dict[int, int] = {}
        self._next = 1
        """The first round that was not let go."""

    def start(self) -> list[Order]:
        """What needs no average: the first piece, and the rounds before the first correction."""
        first = [] if self.schedule.whole or not self.rounds else self._orders("before", 1)
        return first + self.after(0)

    def after(self, number: int) -> list[Order]:
        """What the average of round `number` sets free."""
        self._delays.pop(number, None)
        orders = []
        while self._next <= self.rounds and self._point(self._next).needs <= number:
            orders += self._burst(self._next)
            self._points.pop(self._next - 2, None)
            self._next += 1
        return orders

    def cohort(self, number: int) -> list[int]:
        """Whom round `number` asks."""
        if number not in self._cohorts:
            again = self.schedule.measures and number == 2
            self._cohorts[number] = self.cohort(1) if again else self._draw()
        return self._cohorts[number]

    def delay(self, number: int) -> int:
        """D of a round that was ordered, until its average sets something free."""
        return self._delays[number]

    def forget(self, number: int) -> None:
        """Nothing more is asked about round `number`."""
        self._cohorts.pop(number, None)

    def failed(self, node: int) -> None:
        """What a client did with a message is unknown, so the next one brings it back with a whole model."""
        self._clients[node].reliable = False

    def _point(self, number: int) -> _Point:
        if number not in self._points:
            delay = self._delays[number] = self.schedule.delay(number)
            steps, before = self.schedule.local_steps, self._point(number - 1)
            if self.schedule.whole:
                needs, first = number - delay // steps - 1, 0
            else:
                needs, first = number - (delay - 1) // steps - 1, (delay - 1) % steps + 1
            self._points[number] = _Point(first, needs, max(before.through, needs))
        return self._points[number]

    def _burst(self, number: int) -> list[Order]:
        if self.schedule.whole:
            return self._orders("whole", number)
        # after(t) first: it takes the average, so that before(t+1) finds nothing owed to the clients that did round t
        orders = self._orders("after", number)
        return orders + self._orders("before", number + 1) if number < self.rounds else orders

    def _orders(self, piece: Piece, number: int) -> list[Order]:
        return [self._order(piece, number, node) for node in self.cohort(number)]

    def _order(self, piece: Piece, number: int, node: int) -> Order:
        point, whole = self._point(number), self.schedule.local_steps
        client = self._clients.get(node)
        if client is None:
            client = self._clients[node] = _Known()
        steps = {"before": point.before_steps, "after": whole - point.before_steps}.get(piece, whole)
        awaits = piece == "whole" and point.needs >= 0
        # before(t) brings a client to where round t-1 left the others; after(t) and whole(t) bring what round t is corrected by
        through = self._point(number - 1).through if piece == "before" else point.through
        if client.reliable and through - client.through > KEPT_AVERAGES:
            client.reliable = False
        if piece != "after" and not client.reliable:
            client.reliable, client.through = True, through
            return Order(node, number, piece, steps, "model", through=through, awaits_average=awaits)
        if client.reliable and through > client.through:
            first, client.through = client.through + 1, through
            return Order(node, number, piece, steps, "averages", first, through, awaits)
        return Order(node, number, piece, steps, "nothing", awaits_average=awaits)
