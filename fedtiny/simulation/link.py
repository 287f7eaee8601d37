"""What a device serves one message at a time: its processor, its session with the server, and each direction of its connection.

A turn is taken one event after it is asked for or given back, as with SimPy's resources. A link adds to its turns the latency and
the losses that a message draws, and the order of arrivals: messages of one device arrive in the order in which they were sent.

Whose turn it is asks the link to `carry` it: the link alone knows when that ends. A transfer of a device that can leave can be
interrupted (`interrupt`), which tells how much of it is still to be sent.
"""

import math
from collections import deque
from typing import Final, NamedTuple, Protocol, cast

import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import Agenda, Appointment, Stage
from fedtiny.simulation.carrier import Carrier
from fedtiny.simulation.scores import Scores


class Traveller(Protocol):
    """A message on its way, as a link knows it."""

    def arrive(self) -> None:
        """All that were sent before it are there, and so is it."""


class Turns:
    """Something that serves one journey at a time, in the order in which they asked."""

    __slots__ = ("_agenda", "_taken", "_waiting")

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._taken = False
        self._waiting: deque[tuple[Traveller, Stage]] | None = None

    def ask(self, journey: "Traveller", stage: Stage) -> None:
        """Lets the journey go on with this stage as soon as it is its turn."""
        if not self._taken and not self._waiting:
            self._taken = True
            self._agenda.now(journey, stage)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((journey, stage))
        # a turn that was given back at this instant goes to whoever waits first, before it is passed on
        self.pass_on()

    def give_back(self) -> None:
        """The journey whose turn it was has finished here."""
        self._taken = False
        if self._waiting:
            self._agenda.now(self, _PASS_ON)

    def pass_on(self) -> None:
        """Gives the turn, if it is free, to whoever waits first."""
        if self._waiting and not self._taken:
            self._taken = True
            journey, stage = self._waiting.popleft()
            self._agenda.now(journey, stage)


class _Transfer(NamedTuple):
    """A transfer under way: seconds and bytes."""

    ending: Appointment
    start: float
    seconds: float
    size: int


class Link:
    """One direction of a device's connection; bytes per second, seconds.

    Only what is made `interruptible` can be interrupted; the others need nothing but the end of each transfer.
    """

    __slots__ = (
        "_agenda",
        "_carrier",
        "_direction",
        "_interruptible",
        "_latencies",
        "_losses",
        "_noise",
        "_passed",
        "_rates",
        "_sent",
        "_under_way",
        "_waiting",
        "bandwidth",
        "foresees",
        "network",
        "turns",
    )

    def __init__(
        self,
        agenda: Agenda,
        traits: Traits,
        bandwidth: float,
        streams: Streams,
        name: str,
        *,
        interruptible: bool = False,
        carrier: Carrier | None = None,
    ) -> None:
        network = traits.network
        self.bandwidth, self.network = bandwidth, network
        self.turns, self._agenda = Turns(agenda), agenda
        self._interruptible = interruptible
        self._carrier, self._direction = carrier, name
        self.foresees = carrier is None
        """Whether transfers begin now and end when they are planned to."""
        self._under_way: _Transfer | None = None
        path = ("group", traits.group, "device", traits.index, name)
        self._noise = streams.numpy(*path, "jitter") if network.jitter else None
        self._losses = streams.numpy(*path, "loss") if network.loss else None
        varies = network.has_variation
        self._rates = Scores(agenda, streams, traits, name, "rate") if varies and network.varies(name) else None
        self._latencies = Scores(agenda, streams, traits, name, "latency") if varies and network.varies("latency") else None
        self._sent = self._passed = 0
        self._waiting: dict[int, Traveller] | None = None

    def carry(self, journey: simpy.Event, size: int, done: Stage) -> float:
        """Begins with a transfer of `size` bytes, and gives when it is planned to end (s), infinity where nobody knows; the journey goes on
        with `done` when it ends.

        The journey must have taken its turn (`turns`), and gives it back itself.
        """
        rate = self.bandwidth if self._rates is None else self.network.in_transfer(self._direction, self._rates.take())
        if self._carrier is not None:
            return self._carrier.begin(size, rate, journey, done)
        seconds = 0.0 if math.isinf(rate) else size / rate
        now = self._agenda.environment.now
        if self._interruptible:
            self._under_way = _Transfer(self._agenda.appoint(seconds, journey, done), now, seconds, size)
        else:
            self._agenda.after(seconds, journey, done)
        return now + seconds

    def interrupt(self, journey: simpy.Event) -> int:
        """Stops the journey's transfer now, so that its `done` does not come; gives how many bytes of it are still to be sent.

        What was sent is whole bytes, in proportion to the time. The turn stays with the journey; only for links made `interruptible`.
        """
        if self._carrier is not None:
            return self._carrier.stop()
        transfer = cast(_Transfer, self._under_way)
        transfer.ending.call_off()
        self._under_way = None
        passed = self._agenda.environment.now - transfer.start
        return transfer.size - int(transfer.size * min(1.0, passed / transfer.seconds)) if transfer.seconds else 0

    def sent(self) -> int:
        """Whole bytes of the transfer under way that were sent until now; only where the link does not foresee."""
        return cast(Carrier, self._carrier).sent()

    def draw_latency(self) -> float:
        """One way, in seconds: the profile's latency as it is in this burst and hour, plus a normal jitter, never below 0."""
        latency = self.network.latency
        if self._latencies is not None:
            latency = self.network.in_transfer("latency", self._latencies.take())
        if self.network.time_of_day is not None:
            latency *= self.network.time_of_day.latency_factor(self._agenda.environment.now)
        if self._noise is None:
            return latency
        return max(0.0, latency + float(self._noise.normal(0.0, self.network.jitter)))

    def loses(self) -> bool:
        """Whether the next transmission is lost."""
        return self._losses is not None and bool(self._losses.random() < self.network.loss)

    def ticket(self) -> int:
        """The place of one more message in the order of arrivals."""
        self._sent += 1
        return self._sent - 1

    def overtakes(self, ticket: int, journey: "Traveller") -> bool:
        """Whether the message is there before one that was sent before it; `journey.arrive` is then called when it may arrive."""
        if ticket == self._passed:
            return False
        if self._waiting is None:
            self._waiting = {}
        self._waiting[ticket] = journey
        return True

    def passed(self, ticket: int) -> None:
        """The message has arrived: the next one may."""
        if ticket + 1 == self._sent:
            self._passed = ticket + 1
        else:
            self._agenda.apart(self._let_pass)

    def withdraw(self, ticket: int) -> None:
        """The message will never arrive: those behind it do not wait for it."""
        withdrawn = _Withdrawn(self, ticket)
        if not self.overtakes(ticket, withdrawn):
            withdrawn.arrive()

    def _let_pass(self, _: simpy.Event) -> None:
        self._passed += 1
        journey = self._waiting.pop(self._passed, None) if self._waiting else None
        if journey is not None:
            journey.arrive()


class _Withdrawn:
    """What is in the place of a message that will never arrive."""

    __slots__ = ("_link", "_ticket")

    def __init__(self, link: Link, ticket: int) -> None:
        self._link, self._ticket = link, ticket

    def arrive(self) -> None:
        """It would be its turn."""
        self._link.passed(self._ticket)


_PASS_ON: Final[Stage] = (Turns.pass_on,)
