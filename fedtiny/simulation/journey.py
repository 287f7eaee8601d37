"""A message on its way through a device, from the server and back (see device.py).

A message costs no process and no requests: a `Journey` is itself the SimPy event that comes next to it, and its callback is
the stage that then begins. Turns are taken one event after they are asked for or given back, as with SimPy's resources, so
that everything happens in the order in which processes and resources would do it, at equal times too: the tests hold it
against a device written so.
"""

from typing import Final

import simpy

from fedtiny.simulation.agenda import Stage
from fedtiny.simulation.interruption import Owner, Transferring, Working
from fedtiny.simulation.presence import Presence
from fedtiny.simulation.trace import ABORTED, DONE, DOWNLOAD, DROPPED, FAILED, KIND_CODES, LATE, LOST, PAGING, START_UP, UPLOAD
from fedtiny.simulation.work import Execution, Work

_NOTHING: Final = Execution(0.0, 0.0, 0, 0)


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
        self.transferring: Transferring | None = None
        """The transfer of a device that can leave."""

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
        device, size, presence = self.device, self.size, self.device.presence
        if presence is not None:
            self.transferring = Transferring(self, presence, _TRANSFERRED)
            self.transferring.begin()
            return
        end = self.link.carry(self, size, _TRANSFERRED)
        self.row = device.trace.begin(device.traits.number, self.work.round, self.kind, self.env.now, end, size, self.payload)
        if not self.link.foresees:
            device.trace.watch(self.row, self.link.sent)

    def transferred(self) -> None:
        """The link has finished with it."""
        link, trace = self.link, self.device.trace
        if self.transferring is not None:
            self.transferring.end()
        link.turns.give_back()
        if not link.foresees:
            trace.ends(self.row, self.env.now)
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
        if self.kind == DOWNLOAD and device.presence is not None and not device.presence.here:
            self._comes_to_nobody(device.presence)
            return
        device.trace.arrive(self.row, self.env.now)
        self.link.passed(self.ticket)
        if self.kind == DOWNLOAD:
            self._received(device)
        else:
            if not self.work.deliver():
                device.trace.conclude(self.row, LATE)
            self._end()

    def _comes_to_nobody(self, presence: Presence) -> None:
        if presence.gives_up:
            self.device.trace.conclude(self.row, ABORTED)
            self.link.passed(self.ticket)
            self.give_up()
        else:
            presence.after_return(self, _COME_IN)

    def _received(self, device: Owner) -> None:
        if device.drops_out is not None and device.drops_out(self.work.round, self.work.attempt):
            device.trace.conclude(self.row, DROPPED)
            self.work.abandon()
            self._end()
        else:
            device.processor.ask(self, _COMPUTE)

    def compute(self) -> None:
        """The processor turns to the message."""
        device, work, presence = self.device, self.work, self.device.presence
        if presence is not None and not (presence.here and presence.accepts):
            self._nobody_computes(presence)
            return
        execution = work.begin()
        if execution is None:
            device.processor.give_back()
            device.trace.conclude(self.row, LATE)
            self._end()
            return
        self.size, self.payload, self.execution = execution.reply_bytes, execution.reply_payload_bytes, execution
        start_up = device.start_up
        if start_up:
            self._occupy(START_UP, start_up, 0.0, _STARTED)
        else:
            self.work_on()

    def _nobody_computes(self, presence: Presence) -> None:
        if presence.gives_up or presence.refuses_for_ever:
            self.device.processor.give_back()
            self.device.trace.conclude(self.row, ABORTED)
            self.give_up()
        elif presence.here:
            presence.after_charging(self, _COMPUTE)
        else:
            presence.after_return(self, _COMPUTE)

    def _occupy(self, kind: int, seconds: float, amount: float, done: Stage, *, hot: bool = True) -> None:
        """The processor works for so many seconds, longer if it is hot, and goes on with `done`."""
        device, now = self.device, self.env.now
        if device.presence is not None:
            Working(self, device.presence, kind, seconds, amount, done, hot=hot).begin()
            return
        taken = device.takes(seconds) if hot else seconds
        self.row = device.trace.begin(device.traits.number, self.work.round, kind, now, now + taken, amount)
        self.agenda.after(taken, self, done)

    def started(self) -> None:
        """The program that does the work is running."""
        self.device.trace.finish(self.row, DONE)
        self.work_on()

    def work_on(self) -> None:
        """The work begins, if there is any."""
        execution = self.execution
        if execution.seconds > 0 or execution.macs > 0:
            kind = KIND_CODES[execution.kind]
            self._occupy(kind, execution.seconds, execution.macs, _FAILED if execution.failed else _COMPUTED)
        else:
            self._reply()

    def computed(self) -> None:
        """The work is done, but for what it waits for storage."""
        paging = self.execution.paging
        self.device.trace.finish(self.row, DONE)
        if paging:
            self._occupy(PAGING, paging, 0.0, _PAGED, hot=False)
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
        self.latency = device.upload_latency()
        self.leave()

    def give_up(self) -> None:
        """The device has left, and the message comes to nothing."""
        device, presence = self.device, self.device.presence
        device.trace.left.append((device.traits.number, self.work.round, self.env.now))
        self.work.lose(presence.on_leave.noticed_after if presence is not None else 0.0)
        self._end()

    def _end(self) -> None:
        device = self.device
        if device.session is not None:
            device.look_again()
            device.session.give_back()


SENT: Final[Stage] = (Journey.sent,)
_LOOK: Final[Stage] = (Journey.look,)
_LEAVE: Final[Stage] = (Journey.leave,)
_TRANSFER: Final[Stage] = (Journey.transfer,)
_TRANSFERRED: Final[Stage] = (Journey.transferred,)
_ARRIVE: Final[Stage] = (Journey.come,)
_COME_IN: Final[Stage] = (Journey.arrive,)
_COMPUTE: Final[Stage] = (Journey.compute,)
_STARTED: Final[Stage] = (Journey.started,)
_COMPUTED: Final[Stage] = (Journey.computed,)
_PAGED: Final[Stage] = (Journey.paged,)
_FAILED: Final[Stage] = (Journey.failed,)
