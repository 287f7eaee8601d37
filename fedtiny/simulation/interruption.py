"""What a device does that can leave: work and transfers that pause when it leaves and go on when it is back, or fail.

| | pause | fail |
|---|---|---|
| a message that the device has not begun to download | waits | waits |
| a download, also one that has left its link and not arrived | goes on, or begins again (`resume_transfers`) | fails |
| a message that waits for the processor | waits | fails |
| a message that the processor turns to when the battery is low | waits | fails |
| work | goes on | fails |
| a reply that waits for its link, or is on it | goes on, or begins again | fails |
| a reply that has left its link | arrives | arrives |

A device whose battery is empty and is never charged again has left for ever: all of that fails, also what it has not begun to download.
Each part of an activity is a row of the trace: what was done until the device left (outcome interrupted, repeated or aborted), and what is
done when it is back. Of what fails the server is told so in place of a reply, as soon as it notices. Transfers stop at whole bytes.
"""

from collections.abc import Callable
from typing import Final, Protocol, cast

import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.simulation.agenda import Agenda, Appointment, Stage
from fedtiny.simulation.battery import Battery
from fedtiny.simulation.link import Link, Turns
from fedtiny.simulation.presence import Presence
from fedtiny.simulation.trace import ABORTED, DOWNLOAD, INTERRUPTED, REPEATED, Trace
from fedtiny.simulation.work import Work


class Owner(Protocol):
    """A device, as the messages on their way through it know it."""

    agenda: Agenda
    traits: Traits
    trace: Trace
    downlink: Link
    uplink: Link
    processor: Turns
    session: Turns | None
    start_up: float
    drops_out: Callable[[int, int], bool] | None
    presence: Presence | None

    def takes(self, seconds: float) -> float:
        """Seconds that work takes which begins now and would take `seconds` on a cool processor."""

    def left(self, seconds: float, passed: float) -> float:
        """Seconds that are left on a cool processor of work that would take `seconds` there, began when `takes` was last asked, and stops
        now, `passed` seconds later."""

    def next_look(self, pushed: float) -> float:
        """When it notices a message that was pushed at this time, where it does nothing else (s)."""

    def look_again(self) -> None:
        """It is done with a message whose reply arrives now, and will look for the next."""

    def upload_latency(self) -> float:
        """Seconds from the end of a reply's transfer to its arrival."""


class Passage(Protocol):
    """A message on its way through a device."""

    device: Owner
    work: Work
    link: Link
    kind: int
    ticket: int
    size: int
    payload: int
    row: int

    def give_up(self) -> None:
        """The device has left, and the message comes to nothing."""


class Transferring:
    """A transfer, whose turn it is, over a link of a device that can leave."""

    __slots__ = ("_began", "_done", "_passage", "_payload", "_planned", "_presence", "_size", "_watts")

    def __init__(self, passage: Passage, presence: Presence, done: Stage) -> None:
        self._passage, self._presence, self._done = passage, presence, done
        self._size, self._payload = passage.size, passage.payload
        """What is left of both (bytes)."""
        self._began = self._watts = 0.0
        self._planned = 0
        """Of what the battery gives for it: since when (s), with how much (W), and for how many bytes."""

    def begin(self) -> None:
        """The link begins with what is left, or the device is not there."""
        passage, presence = self._passage, self._presence
        if presence.here:
            device = passage.device
            end = passage.link.carry(cast(simpy.Event, passage), self._size, self._done)
            span = (device.agenda.environment.now, end)
            passage.row = device.trace.begin(device.traits.number, passage.work.round, passage.kind, *span, self._size, self._payload)
            if not passage.link.foresees:
                device.trace.watch(passage.row, passage.link.sent)
            presence.begin(self, end)
        elif presence.is_gone or (presence.on_leave.fails and passage.kind != DOWNLOAD):
            self._fail()
        else:
            presence.after_return(self, _BEGIN_TRANSFER)

    def end(self) -> None:
        """The link has finished with it."""
        self._presence.end(self)

    def power(self, battery: Battery, end: float) -> tuple[float, bool]:
        """See `presence.Activity`; where nobody foresees how it goes, it is paid for when it has ended."""
        passage, now = self._passage, self._passage.device.agenda.environment.now
        joules = battery.drain.per_byte[passage.kind] * self._size
        self._planned = self._size
        self._began, self._watts = now, joules / (end - now) if passage.link.foresees and end > now else 0.0
        return self._watts, False

    def owes(self, battery: Battery) -> float:
        """See `battery.Load`; what was sent is whole bytes."""
        passage, now = self._passage, self._passage.device.agenda.environment.now
        sent = passage.device.trace.activity(passage.row).bytes
        if self._watts and sent == self._planned:
            return 0.0
        return battery.drain.per_byte[passage.kind] * sent - self._watts * (now - self._began)

    def stop(self) -> None:
        """See `presence.Activity`; a transfer that ends at this moment has ended."""
        passage, resumes, fails = self._passage, self._presence.on_leave.resumes_transfers, self._presence.gives_up
        left = passage.link.interrupt(cast(simpy.Event, passage))
        if not left:
            passage.device.agenda.now(passage, self._done)
            return
        trace, now = passage.device.trace, passage.device.agenda.environment.now
        outcome = ABORTED if fails else INTERRUPTED if resumes else REPEATED
        trace.interrupt(passage.row, now, self._size - left, outcome)
        if fails:
            self._fail()
            return
        if resumes:
            self._size, self._payload = left, self._payload - trace.activity(passage.row).payload_bytes
        self._presence.after_return(self, _BEGIN_TRANSFER)

    def _fail(self) -> None:
        passage = self._passage
        passage.link.turns.give_back()
        passage.link.withdraw(passage.ticket)
        passage.give_up()


class Working:
    """Work of the processor, whose turn it is, of a device that can leave; `hot` work takes longer on a hot processor."""

    __slots__ = ("_amount", "_began", "_done", "_end", "_ending", "_hot", "_kind", "_passage", "_presence", "_seconds")

    def __init__(
        self, passage: Passage, presence: Presence, kind: int, seconds: float, amount: float, done: Stage, *, hot: bool = True
    ) -> None:
        self._passage, self._presence, self._kind, self._done, self._hot = passage, presence, kind, done, hot
        self._seconds, self._amount = seconds, amount
        """What is left: seconds on a cool processor, and multiply-accumulates."""
        self._began = self._end = 0.0
        self._ending: Appointment | None = None

    def begin(self) -> None:
        """The processor begins with what is left, or the device is not there."""
        passage, presence = self._passage, self._presence
        if presence.here:
            device = passage.device
            now = self._began = device.agenda.environment.now
            taken = device.takes(self._seconds) if self._hot else self._seconds
            self._end = now + taken
            passage.row = device.trace.begin(device.traits.number, passage.work.round, self._kind, now, self._end, self._amount)
            self._ending = device.agenda.appoint(taken, self, _END_WORK)
            presence.begin(self, self._end)
        elif presence.gives_up:
            self._fail()
        else:
            presence.after_return(self, _BEGIN_WORK)

    def end(self) -> None:
        """It is done."""
        self._presence.end(self)
        self._done[0](self._passage)

    def power(self, battery: Battery, end: float) -> tuple[float, bool]:
        """See `presence.Activity`."""
        return battery.drain.working[self._kind], True

    def owes(self, battery: Battery) -> float:
        """See `battery.Load`."""
        return 0.0

    def stop(self) -> None:
        """See `presence.Activity`; work that ends at this moment has ended."""
        device, fails = self._passage.device, self._presence.gives_up
        now = device.agenda.environment.now
        if now >= self._end:
            return
        cast(Appointment, self._ending).call_off()
        passed, taken = now - self._began, self._end - self._began
        done = self._amount * (passed / taken)
        device.trace.interrupt(self._passage.row, now, done, ABORTED if fails else INTERRUPTED)
        self._seconds = device.left(self._seconds, passed) if self._hot else self._seconds - passed
        self._amount -= done
        if fails:
            self._fail()
        else:
            self._presence.after_return(self, _BEGIN_WORK)

    def _fail(self) -> None:
        self._passage.device.processor.give_back()
        self._passage.give_up()


_BEGIN_TRANSFER: Final[Stage] = (Transferring.begin,)
_BEGIN_WORK: Final[Stage] = (Working.begin,)
_END_WORK: Final[Stage] = (Working.end,)
