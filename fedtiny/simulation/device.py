"""A device in virtual time: a downlink, a processor and an uplink.

Overlap is not modelled, it follows: the three are separate resources, so a device that was given its next work before
its last reply has left downloads, computes and uploads at once. A device with a `serial` runtime (such as a stock Flower
SuperNode: pull, run, push) does one message at a time from its download to the arrival of its reply. It looks for the next
message as soon as it is done with one, and while there is none every `polling_interval`, first at a moment between 0 and that
interval which is drawn for each device; and it spends `start_up` on each message before its work begins.

A transfer of b bytes occupies a link for ``b / bandwidth`` seconds and arrives ``latency + jitter`` later; latency does
not occupy the link. Messages of one device arrive in the order in which they were sent, whatever the jitter, and the
messages of one burst share one latency draw. A lost message has occupied its link and is sent again one round trip later.
A device that drops out of a round (dropout.py) gets its message and does nothing with it. Work takes longer on a processor that is
hot (heat.py); waiting for storage is an activity of its own, after the work.

A message costs no process and no requests: a `Journey` is itself the SimPy event that comes next to it, and its callback is
the stage that then begins. Turns are taken one event after they are asked for or given back, as with SimPy's resources, so
that everything happens in the order in which processes and resources would do it, at equal times too: the tests hold it
against a device written so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import Stage, agenda_of
from fedtiny.simulation.dropout import drops_out
from fedtiny.simulation.heat import Heat
from fedtiny.simulation.link import Link, Turns
from fedtiny.simulation.trace import DONE, DOWNLOAD, DROPPED, FAILED, KIND_CODES, LATE, LOST, PAGING, START_UP, UPLOAD, Kind, Trace


@dataclass(frozen=True)
class Execution:
    """What one piece of work took: virtual seconds on a cool processor, MACs, the reply's size in bytes, and seconds that the processor
    waited for storage because the memory was too small."""

    seconds: float
    macs: float
    reply_bytes: int
    reply_payload_bytes: int
    kind: Kind = "train"
    failed: bool = False
    paging: float = 0.0


_NOTHING: Final = Execution(0.0, 0.0, 0, 0)
_ROUNDING: Final = 1e-9


class Work(Protocol):
    """One message on its way through a device."""

    round: int
    attempt: int
    """How often the device was asked for this before; see dropout.py."""
    bytes: int
    payload_bytes: int

    def begin(self) -> Execution | None:
        """The processor's turn: what the work takes; None for a message whose lifetime is over, which is not worked on."""

    def deliver(self) -> bool:
        """Hands the reply to the server and says whether it was still awaited."""

    def abandon(self) -> None:
        """The device has dropped out: there will be no reply."""


class SimulatedDevice:
    """One device that receives work, does it and replies, in virtual time."""

    __slots__ = ("agenda", "downlink", "drops_out", "heat", "looks_since", "processor", "session", "trace", "traits", "uplink")

    def __init__(self, environment: simpy.Environment, traits: Traits, streams: Streams, trace: Trace) -> None:
        self.traits, self.trace = traits, trace
        agenda = self.agenda = agenda_of(environment)
        self.downlink = Link(agenda, traits, traits.network.downlink, streams, "downlink")
        self.uplink = Link(agenda, traits, traits.network.uplink, streams, "uplink")
        self.processor = Turns(agenda)
        throttling = traits.device.throttling
        self.heat = None if throttling is None else Heat(throttling)
        self.session = None if traits.device.runtime == "overlapping" else Turns(agenda)
        self.looks_since = _first_look(traits, streams)
        """When it was last done with a message (s); it looks for others then and every polling interval after."""
        self.drops_out = partial(drops_out, traits, streams) if traits.dropout else None

    def accept(self, burst: Sequence[Work]) -> None:
        """Starts the messages of one burst on their way, in order, with one latency draw for all of them."""
        latency = self.downlink.draw_latency()
        for work in burst:
            self.agenda.first(Journey(self, work, latency), _SENT)

    def takes(self, seconds: float) -> float:
        """Seconds that work takes which begins now and would take `seconds` on a cool processor."""
        return seconds if self.heat is None else self.heat.takes(self.agenda.environment.now, seconds)

    def next_look(self, pushed: float) -> float:
        """When it notices a message that was pushed at this time, where it does nothing else (s)."""
        now, interval, since = self.agenda.environment.now, self.traits.device.polling_interval, self.looks_since
        if not interval or pushed < since:
            return now
        # what comes just when it looks comes too late where it has only just finished, and is noticed where it has waited
        looks = max(1, math.ceil((now - since) / interval - _ROUNDING))
        return max(now, since + looks * interval)


def _first_look(traits: Traits, streams: Streams) -> float:
    interval = traits.device.polling_interval
    if not interval:
        return 0.0
    return interval * (float(streams.numpy("group", traits.group, "device", traits.index, "polling").random()) - 1.0)


class Journey(simpy.Event):
    """A message on its way through a device: the SimPy event that comes next to it, again and again."""

    # a journey is scheduled as a success without a value, at every stage; simpy.Event says so for each event in its constructor
    _ok = True
    _value = None

    def __init__(self, device: SimulatedDevice, work: Work, latency: float) -> None:
        self.device, self.work = device, work
        self.agenda = device.agenda
        self.env = self.agenda.environment
        self.latency = latency
        self.link, self.kind = device.downlink, DOWNLOAD
        self.ticket = self.link.ticket()
        self.size, self.payload = work.bytes, work.payload_bytes
        self.execution = _NOTHING
        self.pushed = self.env.now
        self.row = -1

    def sent(self) -> None:
        """The server has pushed the message."""
        session = self.device.session
        if session is None:
            self.leave()
        else:
            session.ask(self, _LOOK)

    def look(self) -> None:
        """The device has nothing else to do, and notices the message when it looks for one."""
        wait = self.device.next_look(self.pushed) - self.env.now
        if wait > 0.0:
            self.agenda.after(wait, self, _LEAVE)
        else:
            self.leave()

    def leave(self) -> None:
        """The message, or the reply, asks for its link."""
        self.link.turns.ask(self, _TRANSFER)

    def transfer(self) -> None:
        """The link begins with it."""
        device, size = self.device, self.size
        end = self.link.carry(self, size, _TRANSFERRED)
        self.row = device.trace.begin(device.traits.number, self.work.round, self.kind, self.env.now, end, size, self.payload)

    def transferred(self) -> None:
        """The link has finished with it."""
        link, trace = self.link, self.device.trace
        link.turns.give_back()
        if link.loses():
            trace.finish(self.row, LOST)
            self.agenda.after(2 * link.network.latency, self, _LEAVE)
        else:
            trace.finish(self.row, DONE)
            self.agenda.after(self.latency, self, _ARRIVE)

    def come(self) -> None:
        """It is at the other end of the link, and arrives when all that were sent before it have."""
        if not self.link.overtakes(self.ticket, self):
            self.arrive()

    def arrive(self) -> None:
        """It is there: the device turns to the message, or the server is handed the reply."""
        device = self.device
        device.trace.arrive(self.row, self.env.now)
        self.link.passed(self.ticket)
        if self.kind == DOWNLOAD:
            self._received(device)
        else:
            if not self.work.deliver():
                device.trace.conclude(self.row, LATE)
            self._end()

    def _received(self, device: SimulatedDevice) -> None:
        if device.drops_out is not None and device.drops_out(self.work.round, self.work.attempt):
            device.trace.conclude(self.row, DROPPED)
            self.work.abandon()
            self._end()
        else:
            device.processor.ask(self, _COMPUTE)

    def compute(self) -> None:
        """The processor turns to the message."""
        device, work = self.device, self.work
        execution = work.begin()
        if execution is None:
            device.processor.give_back()
            device.trace.conclude(self.row, LATE)
            self._end()
            return
        self.size, self.payload, self.execution = execution.reply_bytes, execution.reply_payload_bytes, execution
        start_up = device.traits.device.start_up
        if start_up:
            now, start_up = self.env.now, device.takes(start_up)
            self.row = device.trace.begin(device.traits.number, work.round, START_UP, now, now + start_up)
            self.agenda.after(start_up, self, _STARTED)
        else:
            self.work_on()

    def started(self) -> None:
        """The program that does the work is running."""
        self.device.trace.finish(self.row, DONE)
        self.work_on()

    def work_on(self) -> None:
        """The work begins, if there is any."""
        device, execution = self.device, self.execution
        seconds, macs = execution.seconds, execution.macs
        if seconds > 0 or macs > 0:
            start, kind, seconds = self.env.now, KIND_CODES[execution.kind], device.takes(seconds)
            self.row = device.trace.begin(device.traits.number, self.work.round, kind, start, start + seconds, macs)
            self.agenda.after(seconds, self, _FAILED if execution.failed else _COMPUTED)
        else:
            self._reply()

    def computed(self) -> None:
        """The work is done, but for what it waits for storage."""
        device, paging = self.device, self.execution.paging
        device.trace.finish(self.row, DONE)
        if paging:
            now = self.env.now
            self.row = device.trace.begin(device.traits.number, self.work.round, PAGING, now, now + paging)
            self.agenda.after(paging, self, _PAGED)
        else:
            self._reply()

    def paged(self) -> None:
        """What the memory did not hold has come back from storage."""
        self.device.trace.finish(self.row, DONE)
        self._reply()

    def failed(self) -> None:
        """The work has failed; there is a reply that says so."""
        self.device.trace.finish(self.row, FAILED)
        self._reply()

    def _reply(self) -> None:
        device = self.device
        device.processor.give_back()
        self.link, self.kind = device.uplink, UPLOAD
        self.ticket = self.link.ticket()
        self.latency = self.link.draw_latency()
        self.leave()

    def _end(self) -> None:
        device = self.device
        if device.session is not None:
            device.looks_since = self.env.now
            device.session.give_back()


_SENT: Final[Stage] = (Journey.sent,)
_LOOK: Final[Stage] = (Journey.look,)
_LEAVE: Final[Stage] = (Journey.leave,)
_TRANSFER: Final[Stage] = (Journey.transfer,)
_TRANSFERRED: Final[Stage] = (Journey.transferred,)
_ARRIVE: Final[Stage] = (Journey.come,)
_COMPUTE: Final[Stage] = (Journey.compute,)
_STARTED: Final[Stage] = (Journey.started,)
_COMPUTED: Final[Stage] = (Journey.computed,)
_PAGED: Final[Stage] = (Journey.paged,)
_FAILED: Final[Stage] = (Journey.failed,)
