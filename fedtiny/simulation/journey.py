"""A message on its way through a device, from the server and back (see device.py).

A message costs no process and no requests: a `Journey` is itself the SimPy event that comes next to it, and its callback is
the stage that then begins. Turns are taken one event after they are asked for or given back, as with SimPy's resources, so
that everything happens in the order in which processes and resources would do it, at equal times too: the tests hold it
against a device written so.
"""

from collections.abc import Callable
from typing import Final, Protocol

import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.simulation.agenda import Agenda, Stage
from fedtiny.simulation.link import Link, Turns
from fedtiny.simulation.trace import DONE, DOWNLOAD, DROPPED, FAILED, KIND_CODES, LATE, LOST, PAGING, START_UP, UPLOAD, Trace
from fedtiny.simulation.work import Execution, Work

_NOTHING: Final = Execution(0.0, 0.0, 0, 0)


class Owner(Protocol):
    """A device, as the messages on their way through it know it."""

    agenda: Agenda
    traits: Traits
    trace: Trace
    downlink: Link
    uplink: Link
    processor: Turns
    session: Turns | None
    looks_since: float
    drops_out: Callable[[int, int], bool] | None

    def takes(self, seconds: float) -> float:
        """Seconds that work takes which begins now and would take `seconds` on a cool processor."""

    def next_look(self, pushed: float) -> float:
        """When it notices a message that was pushed at this time, where it does nothing else (s)."""


class Journey(simpy.Event):
    """A message on its way through a device: the SimPy event that comes next to it, again and again."""

    # a journey is scheduled as a success without a value, at every stage; simpy.Event says so for each event in its constructor
    _ok = True
    _value = None

    def __init__(self, device: Owner, work: Work, latency: float) -> None:
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

    def _received(self, device: Owner) -> None:
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


SENT: Final[Stage] = (Journey.sent,)
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
