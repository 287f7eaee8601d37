"""A device in virtual time: a downlink, a processor and an uplink.

Overlap is not modelled, it follows: the three are separate resources, so a device that was given its next work before
its last reply has left downloads, computes and uploads at once. A device with a `serial` runtime (such as a stock Flower
SuperNode: pull, run, push) does one message at a time from its download to the arrival of its reply.

A transfer of b bytes occupies a link for ``b / bandwidth`` seconds and arrives ``latency + jitter`` later; latency does
not occupy the link. Messages of one device arrive in the order in which they were sent, whatever the jitter, and the
messages of one burst share one latency draw. A lost message has occupied its link and is sent again one round trip later.

A message costs no process and no requests: a `Journey` is itself the SimPy event that comes next to it, and its callback is
the stage that then begins. Turns are taken one event after they are asked for or given back, as with SimPy's resources, so
that everything happens in the order in which processes and resources would do it, at equal times too: the tests hold it
against a device written so.
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import simpy
from simpy.events import NORMAL, URGENT

from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import NetworkProfile
from fedtiny.randomness import Streams
from fedtiny.simulation.trace import DONE, DOWNLOAD, FAILED, KIND_CODES, LATE, LOST, UPLOAD, Kind, Trace


@dataclass(frozen=True)
class Execution:
    """What one piece of work took: virtual seconds on the processor, MACs, and the reply's size in bytes."""

    seconds: float
    macs: float
    reply_bytes: int
    reply_payload_bytes: int
    kind: Kind = "train"
    failed: bool = False


class Work(Protocol):
    """One message on its way through a device."""

    round: int
    bytes: int
    payload_bytes: int

    def begin(self) -> Execution | None:
        """The processor's turn: what the work takes; None for a message whose lifetime is over, which is not worked on."""

    def deliver(self) -> bool:
        """Hands the reply to the server and says whether it was still awaited."""


class Turns:
    """Something that serves one journey at a time, in the order in which they asked."""

    __slots__ = ("_waiting", "taken")

    def __init__(self) -> None:
        self.taken = False
        self._waiting: deque[tuple[Journey, Stage]] | None = None

    def ask(self, journey: "Journey", stage: "Stage") -> None:
        """Lets the journey go on with this stage as soon as it is its turn."""
        if not self.taken and not self._waiting:
            self.taken = True
            journey.next(stage, 0.0)
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((journey, stage))
        # a turn that was given back at this instant goes to whoever waits first, before it is passed on
        self._pass_on()

    def give_back(self, environment: simpy.Environment) -> None:
        """The journey whose turn it was has finished here."""
        self.taken = False
        if self._waiting:
            environment.timeout(0.0).callbacks.append(self._pass_on)

    def _pass_on(self, _: object = None) -> None:
        if self._waiting and not self.taken:
            self.taken = True
            journey, stage = self._waiting.popleft()
            journey.next(stage, 0.0)


class Link:
    """One direction of a device's connection; bytes per second, seconds."""

    __slots__ = ("_losses", "_noise", "_passed", "_sent", "_waiting", "bandwidth", "network", "turns")

    def __init__(self, bandwidth: float, network: NetworkProfile, stream: Callable[[str], np.random.Generator]) -> None:
        self.bandwidth, self.network = bandwidth, network
        self.turns = Turns()
        self._noise = stream("jitter") if network.jitter else None
        self._losses = stream("loss") if network.loss else None
        self._sent = self._passed = 0
        self._waiting: dict[int, Journey] = {}

    def draw_latency(self) -> float:
        """One way, in seconds: the profile's latency plus a normal jitter, never below 0."""
        if self._noise is None:
            return self.network.latency
        return max(0.0, self.network.latency + float(self._noise.normal(0.0, self.network.jitter)))

    def loses(self) -> bool:
        """Whether the next transmission is lost."""
        return self._losses is not None and bool(self._losses.random() < self.network.loss)

    def ticket(self) -> int:
        """The place of one more message in the order of arrivals."""
        self._sent += 1
        return self._sent - 1

    def overtakes(self, ticket: int, journey: "Journey") -> bool:
        """Whether the message is there before one that was sent before it; `journey.arrive` is then called when it may arrive."""
        if ticket == self._passed:
            return False
        self._waiting[ticket] = journey
        return True

    def passed(self, ticket: int, environment: simpy.Environment) -> None:
        """The message has arrived: the next one may."""
        if ticket + 1 == self._sent:
            self._passed = ticket + 1
        else:
            environment.timeout(0.0).callbacks.append(self._let_pass)

    def _let_pass(self, _: simpy.Event) -> None:
        self._passed += 1
        journey = self._waiting.pop(self._passed, None)
        if journey is not None:
            journey.arrive()


class SimulatedDevice:
    """One device that receives work, does it and replies, in virtual time."""

    __slots__ = ("downlink", "environment", "processor", "session", "trace", "traits", "uplink")

    def __init__(self, environment: simpy.Environment, traits: Traits, streams: Streams, trace: Trace) -> None:
        self.environment, self.traits, self.trace = environment, traits, trace
        path = ("group", traits.group, "device", traits.index)
        network = traits.network
        self.downlink = Link(network.downlink, network, lambda name: streams.numpy(*path, "downlink", name))
        self.uplink = Link(network.uplink, network, lambda name: streams.numpy(*path, "uplink", name))
        self.processor = Turns()
        self.session = None if traits.device.runtime == "overlapping" else Turns()

    def accept(self, burst: Sequence[Work]) -> None:
        """Starts the messages of one burst on their way, in order, with one latency draw for all of them."""
        latency = self.downlink.draw_latency()
        for work in burst:
            Journey(self, work, latency)


class Journey(simpy.Event):
    """A message on its way through a device: the SimPy event that comes next to it, again and again."""

    # a journey is scheduled as a success without a value, at every stage; simpy.Event says so for each event in its constructor
    _ok = True
    _value = None

    def __init__(self, device: SimulatedDevice, work: Work, latency: float) -> None:
        self.device, self.work = device, work
        self.env = device.environment
        self.latency = latency
        self.link, self.kind = device.downlink, DOWNLOAD
        self.ticket = self.link.ticket()
        self.size, self.payload = work.bytes, work.payload_bytes
        self.row = -1
        self.callbacks = _SENT  # type: ignore[assignment]
        self.env.schedule(self, URGENT)

    def next(self, stage: "Stage", delay: float) -> None:
        """Begins a stage so many seconds from now."""
        self.callbacks = stage  # type: ignore[assignment]
        self.env.schedule(self, NORMAL, delay)

    def sent(self) -> None:
        """The server has pushed the message."""
        session = self.device.session
        if session is None:
            self.leave()
        else:
            session.ask(self, _LEAVE)

    def leave(self) -> None:
        """The message, or the reply, asks for its link."""
        self.link.turns.ask(self, _TRANSFER)

    def transfer(self) -> None:
        """The link begins with it."""
        size, link = self.size, self.link
        seconds = 0.0 if math.isinf(link.bandwidth) else size / link.bandwidth
        start, device = float(self.env.now), self.device
        self.row = device.trace.begin(device.traits.number, self.work.round, self.kind, start, start + seconds, size, self.payload)
        self.next(_TRANSFERRED, seconds)

    def transferred(self) -> None:
        """The link has finished with it."""
        link, trace = self.link, self.device.trace
        link.turns.give_back(self.env)
        if link.loses():
            trace.finish(self.row, LOST)
            self.next(_LEAVE, 2 * link.network.latency)
        else:
            trace.finish(self.row, DONE)
            self.next(_ARRIVE, self.latency)

    def come(self) -> None:
        """It is at the other end of the link, and arrives when all that were sent before it have."""
        if not self.link.overtakes(self.ticket, self):
            self.arrive()

    def arrive(self) -> None:
        """It is there: the device turns to the message, or the server is handed the reply."""
        device = self.device
        device.trace.arrive(self.row, float(self.env.now))
        self.link.passed(self.ticket, self.env)
        if self.kind == DOWNLOAD:
            device.processor.ask(self, _COMPUTE)
        else:
            if not self.work.deliver():
                device.trace.conclude(self.row, LATE)
            self._end()

    def compute(self) -> None:
        """The processor turns to the message."""
        device, work = self.device, self.work
        execution = work.begin()
        if execution is None:
            device.processor.give_back(self.env)
            device.trace.conclude(self.row, LATE)
            self._end()
            return
        self.size, self.payload = execution.reply_bytes, execution.reply_payload_bytes
        seconds, macs = execution.seconds, execution.macs
        if seconds > 0 or macs > 0:
            start, kind = float(self.env.now), KIND_CODES[execution.kind]
            self.row = device.trace.begin(device.traits.number, work.round, kind, start, start + seconds, macs)
            self.next(_FAILED if execution.failed else _COMPUTED, seconds)
        else:
            self._reply()

    def computed(self) -> None:
        """The work is done."""
        self.device.trace.finish(self.row, DONE)
        self._reply()

    def failed(self) -> None:
        """The work has failed; there is a reply that says so."""
        self.device.trace.finish(self.row, FAILED)
        self._reply()

    def _reply(self) -> None:
        device = self.device
        device.processor.give_back(self.env)
        self.link, self.kind = device.uplink, UPLOAD
        self.ticket = self.link.ticket()
        self.latency = self.link.draw_latency()
        self.leave()

    def _end(self) -> None:
        if self.device.session is not None:
            self.device.session.give_back(self.env)


Stage = tuple[Callable[[Any], None]]
"""What happens at an event, as SimPy calls it: with the event, which is the journey."""

_SENT: Final[Stage] = (Journey.sent,)
_LEAVE: Final[Stage] = (Journey.leave,)
_TRANSFER: Final[Stage] = (Journey.transfer,)
_TRANSFERRED: Final[Stage] = (Journey.transferred,)
_ARRIVE: Final[Stage] = (Journey.come,)
_COMPUTE: Final[Stage] = (Journey.compute,)
_COMPUTED: Final[Stage] = (Journey.computed,)
_FAILED: Final[Stage] = (Journey.failed,)
