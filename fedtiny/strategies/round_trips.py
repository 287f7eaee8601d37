"""What DGA's server can tell of its clients' step times and round trips from the times of its own messages (ours).

Nothing is asked of the clients. With P_t the time at which *after(t)* and *before(t+1)* were pushed in one burst, A_t and B_t the times at
which the replies to *after(t)* and *before(t)* came, d_t the gradients of *before(t)* and c the time of a step, a client that is never
made to wait gives

    B_{t+1} - B_t = (K + d_{t+1} - d_t) c        and        A_t - B_t = (K - d_t) c + w

with w the longer time that a sum takes on the uplink than a reply without one. The round trip L, from the end of a round's last step to
the arrival of an average, the sum's way up and the average's way down, shows where the client did wait for the burst, as it does in its
first round:

    A_t = max(B_t + w, P_t + L) + (K - d_t) c

so L = A_t - (K - d_t) c - P_t where that is more than B_t + w - P_t, and at most that where it is not: of most messages only a bound is
known. The distribution of L is the product-limit estimate for values some of which are only bounded from above (Kaplan, Meier, JASA
1958, with the order reversed): of the values above x, 1 - (how many are exactly v)/(how many are at most v), multiplied over the v.

Where links are not steady, a reply that was not waited for comes a little before or after its time. How far before is seen, and is no
waiting; as far after proves none: exact is only what comes later by more than nearly all of them are early, and what is between says
nothing. How long the server itself waited for other clients before it pushed is in P_t: what stragglers cost is not in L.

**Lost messages.** A message that is sent again comes about a round trip late, and holds up those behind it. That looks like waiting, but
what a client waited is in all its later replies and what a message was late is not: with C the steps that a client does between two
points of its course, each later reply says that it went on no later than the reply's time less C c. So what looks like waiting is
settled some rounds later, by the earliest of these: it is exact where they confirm it, and a bound where they do not. By how much
sums were late in that sense, U_t = (when the last sum of round t came) - (when it would have come had none been late) is what
everybody waits for, in whatever round; stragglers do not count in it. Clients wait for L + U, and its quantile is that of the sum of two
independent values, one from each estimated distribution.

This tells the two apart as long as some replies of a client come in time within the rounds that are looked at. Links deliver in
order, so that the share of replies in time is about (1 - p)^(1 + n) for a loss p, n being the replies that a client sends in a round
trip, 2 L / (K c). With less than about a fifth nothing is left to go by, and the delay grows too large, up to `at_most`
(tests/theory/test_lossy_delay.py).

The first two rounds have d = K, so that the first three replies of a client that takes part from the start give c, w and L exactly, as long
as its uplink is free again within a round (if it is not, no delay helps) and nothing is lost; c is the median of the newest times of a
round in which the client can not have waited.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fedtiny.strategies.client_course import ClientCourse, Doubt
from fedtiny.strategies.seen_quantiles import SLACK, Seen, quantile_below, quantile_of, quantile_of_sum

KEPT: Final = 512
"""Round trips that are remembered, the newest of all clients."""
_STEADY: Final = 0.9
"""A reply may be as late without waiting as this share of the others is not early."""
_LATE: Final = 0.25
"""A reply that is late by more than this share of a round trip, and by half a step, is so because of a message that was lost."""
_ROUNDS: Final = 64
"""Rounds by whose sums it is told how late they come."""
_MOST_AHEAD: Final = 16
"""What looks like waiting is settled at most so many rounds later."""


@dataclass(frozen=True, slots=True)
class Reply:
    """When a reply came (s)."""

    node: int
    round: int
    piece: str
    time: float
    failed: bool = False


@dataclass
class RoundTrips:
    """Watches the messages of clients that all take K = `local_steps` steps a round."""

    local_steps: int
    _clients: dict[int, ClientCourse] = field(default_factory=dict)
    _before_steps: dict[int, int] = field(default_factory=dict)
    """d_t of the newest rounds."""
    _found: deque[Seen] = field(default_factory=lambda: deque(maxlen=KEPT))
    """Round trips (s), and whether they are exact or at most this."""
    _held: float | None = None
    """What was answered last, which counts as one exact value: where nobody waits, nothing exact is seen any more."""
    _early: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    """By how much replies that were not waited for came before their time (s)."""
    _sums: dict[int, dict[int, float]] = field(default_factory=dict)
    """When the sums of the newest rounds came, by client (s)."""
    _late: dict[int, dict[int, float]] = field(default_factory=dict)
    """By how much they were late (s), where they were."""
    _held_up: deque[float] = field(default_factory=lambda: deque(maxlen=_ROUNDS))
    """U of the newest settled rounds (s)."""

    def pushed(self, node: int, number: int, piece: str, steps: int, time: float) -> None:
        """A message that asks for so many gradients of a round was pushed (s)."""
        if piece == "before":
            self._before_steps[number] = steps
            for old in [old for old in self._before_steps if old < number - 2 * KEPT]:
                del self._before_steps[old]
        else:
            self._clients.setdefault(node, ClientCourse()).outstanding[number] = time

    def tell(self, replies: Iterable[Reply]) -> None:
        """The replies that came since the last time."""
        # of replies that came at once, a client made that of the earlier piece first
        for reply in sorted(replies, key=lambda reply: (reply.time, reply.round, reply.piece != "before")):
            client = self._clients.setdefault(reply.node, ClientCourse())
            if reply.piece == "before" and client.lacks_one_before(reply.round):
                client.early.append((reply.round, reply.time))
            elif reply.failed:
                client.outstanding.pop(reply.round, None)
                client.before = None
                client.breaks_off()
            else:
                self._came(reply.node, client, reply)
        if self._sums and (step := self.step):
            self._settle_rounds(max(self._sums) - self._rounds_ahead(step) - 1)

    def _came(self, node: int, client: ClientCourse, reply: Reply) -> None:
        number, time = reply.round, reply.time
        if reply.piece == "before":
            self._before_came(client, number, time)
            return
        pushed = client.answered(number)
        if pushed is not None and client.before is not None and client.before[0] == number:
            self._after_came(node, client, number, pushed, time)
        client.after, client.pushed = (number, time), math.inf if pushed is None else pushed
        self._sums.setdefault(number, {})[node] = time
        for early in client.no_longer_early():
            self._before_came(client, *early)

    @property
    def step(self) -> float | None:
        """The median time of a step (s) over the clients whose own is known; of an even number the mean of the middle two."""
        known = sorted(step for client in self._clients.values() if (step := client.step) is not None)
        middle = len(known) // 2
        return None if not known else known[middle] if len(known) % 2 else (known[middle - 1] + known[middle]) / 2

    def round_trip(self, quantile: float) -> float | None:
        """This quantile of what clients wait for (s): the smallest time that so many of the trips that were seen last do not exceed."""
        held = () if self._held is None else ((self._held, True),)
        trips = (*self._found, *held)
        self._held = quantile_below(trips, quantile)
        return quantile_of_sum(trips, self._held_up, quantile) if any(self._held_up) else self._held

    def _before_came(self, client: ClientCourse, number: int, time: float) -> None:
        last, client.before = client.before, (number, time)
        steps, now = self._before_steps.get(number - 1), self._before_steps.get(number)
        if last is None or last[0] != number - 1 or client.after[0] != number - 1 or steps is None or now is None:
            client.breaks_off()
            return
        done = (number - 1) * self.local_steps + now
        client.sees(done, time + client.width)
        if number == 2 and steps == now == self.local_steps and time > last[1]:
            client.step = (time - last[1]) / self.local_steps
            self._first_round_trip(client, client.step)
        # what was pushed so early was there in time
        if self._held is not None and client.pushed + self._held <= last[1] + client.width + SLACK * abs(last[1]):
            client.runs_on(done, time)
        else:
            client.stretch = [(done, time)]

    def _first_round_trip(self, client: ClientCourse, step: float) -> None:
        if client.first_burst is not None:
            client.first_trip = max(0.0, client.first_burst - self.local_steps * step)
            self._found.append((client.first_trip, True))
            client.first_burst = None

    def _after_came(self, node: int, client: ClientCourse, number: int, pushed: float, time: float) -> None:
        assert client.before is not None
        done, step = number * self.local_steps, client.step
        begun = done - self.local_steps + self._before_steps.get(number, self.local_steps)
        if step is None:
            if begun == done and number == 1:
                # the first burst holds all of round 1: it took down, K steps and up
                client.first_burst = time - pushed
                client.wider.append(time - client.before[1])
                client.doubt(Doubt(1, 0, done, pushed, -math.inf, -math.inf, time, is_apparent=True))
            return
        client.sees(done, time)
        for doubt, free, went_on in client.settled(number - self._rounds_ahead(step), step):
            self._settle(node, client, doubt, free, went_on, step)
        free = self._free(client, number, step)
        apparent = time - (done - begun) * step > free + self._margin(step)
        doubt = Doubt(number, begun, done, pushed, client.before[1], free, time, apparent)
        if apparent or client.is_in_doubt:
            client.doubt(doubt)
        else:
            self._judge(client, doubt, free, step)

    def _free(self, client: ClientCourse, number: int, step: float) -> float:
        """When a client would go on without waiting: by its last reply or, where that was late, by the one before it."""
        assert client.before is not None
        free, (last, came) = client.before[1] + client.width, client.after
        after = came + self._before_steps.get(number, self.local_steps) * step
        return after if last == number - 1 and free > after + self._loss(step) else free

    def _judge(self, client: ClientCourse, doubt: Doubt, free: float, step: float) -> None:
        """Of a round in which the client did not wait."""
        found = doubt.found(step)
        if free - found > self._loss(step):
            self._found.append((max(0.0, found - doubt.pushed), False))
            return
        self._early.append(max(0.0, free - found))
        client.wider.append(max(0.0, found - doubt.before))
        if found <= free + SLACK * step:
            self._found.append((max(0.0, free - doubt.pushed), False))

    def _settle(self, node: int, client: ClientCourse, doubt: Doubt, free: float, went_on: float, step: float) -> None:
        found, margin, loss = doubt.found(step), self._margin(step), self._loss(step)
        late = found - went_on
        if late > loss:
            self._late.setdefault(doubt.round, {})[node] = late
            found = max(went_on, free)
        if found <= free + margin and late <= loss:
            self._judge(client, doubt, free, step)
            return
        if doubt.round == 1:
            self._forget_first(client)
        exact = found > free + margin and (late <= margin or late > loss)
        self._found.append((max(0.0, found - doubt.pushed), exact))

    def _forget_first(self, client: ClientCourse) -> None:
        """Of a client's first round trip it is now known what of it was late."""
        if client.first_trip is not None and (client.first_trip, True) in self._found:
            self._found.remove((client.first_trip, True))

    def _settle_rounds(self, last: int) -> None:
        """How late the last sums were of rounds up to `last`."""
        for number in [number for number in self._sums if number <= last]:
            times, late = self._sums.pop(number), self._late.pop(number, {})
            self._held_up.append(max(times.values()) - max(time - late.get(node, 0.0) for node, time in times.items()))

    def _loss(self, step: float) -> float:
        """By how much a reply is late, at least, because of a message that was lost (s)."""
        return math.inf if self._held is None else max(_LATE * self._held, 0.5 * step)

    def _margin(self, step: float) -> float:
        return max(quantile_of(sorted(self._early), _STEADY) or 0.0, SLACK * step)

    def _rounds_ahead(self, step: float) -> int:
        """How many rounds later it is settled what looks like waiting."""
        return min(_MOST_AHEAD, 1 + math.ceil(2 * (self._held or 0.0) / (self.local_steps * step))) if step > 0 else 1
