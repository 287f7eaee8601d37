"""Presence: whether a device is there, and what happens when it leaves and when it is back.

A device is there from the moment at which a span of its timetable begins (fleet/timetable.py) until just before it ends. Nothing is
scheduled for a device that has nothing to do: only what would go on past the end of the span is told when the device leaves, and only what
waits for the device is told when it is back. What ends at the very moment at which the device leaves has ended.

A device can also be kept away for another reason (`withhold`), such as an empty battery, until it is released.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from fedtiny.fleet.timetable import Spans
from fedtiny.simulation.agenda import Agenda, Appointment, Stage


@dataclass(frozen=True)
class OnLeave:
    """What becomes of what a device does when it leaves."""

    fails: bool = False
    """Whether it is given up; else it waits until the device is back."""
    resumes_transfers: bool = True
    """Whether a transfer that waited goes on where it was; else it begins again."""
    noticed_after: float = 0.0
    """How long it takes the server to notice that a device has left (s)."""


PAUSE: Final = OnLeave()


class Activity(Protocol):
    """Something that a device does and that stops when the device leaves."""

    def stop(self) -> None:
        """The device has left."""


class Place:
    """Where one device is in its timetable."""

    __slots__ = ("_one", "_place", "_spans")

    def __init__(self, spans: Spans, place: int) -> None:
        self._spans, self._place, self._one = spans, place, np.array([place])

    def at(self, now: float) -> tuple[bool, float]:
        """Whether the device is online at a moment (s), never before the last one asked for; and until when."""
        spans, place = self._spans, self._place
        if spans.until[place] <= now:
            spans.move(self._one, now)
        return bool(spans.online[place]), float(spans.until[place])


class Presence:
    """The presence of one device; `place` is None for one that leaves for other reasons only."""

    __slots__ = ("_agenda", "_going_on", "_leaves", "_place", "_returns", "_waiting", "_withheld", "on_leave")

    def __init__(self, agenda: Agenda, place: Place | None, on_leave: OnLeave = PAUSE) -> None:
        self._agenda, self._place, self.on_leave = agenda, place, on_leave
        self._going_on: list[Activity] = []
        self._waiting: list[tuple[object, Stage]] = []
        self._leaves: Appointment | None = None
        self._returns: Appointment | None = None
        self._withheld = False

    @property
    def here(self) -> bool:
        """Whether the device is there now."""
        return self._span()[0] and not self._withheld

    def begin(self, activity: Activity, end: float) -> None:
        """An activity begins, the device being there, and is planned to end at `end` (s; infinity where that is not known)."""
        self._going_on.append(activity)
        _, until = self._span()
        if end > until and self._leaves is None:
            self._leaves = self._appointed(until, _LEAVE)

    def end(self, activity: Activity) -> None:
        """An activity has ended."""
        if activity in self._going_on:
            self._going_on.remove(activity)

    def after_return(self, event: object, stage: Stage) -> None:
        """Something that needs the device goes on with this stage when it is back."""
        self._waiting.append((event, stage))
        self._expect()

    def withhold(self) -> None:
        """The device goes away, whatever its timetable says."""
        self._withheld = True
        self._stop()

    def release(self) -> None:
        """The device follows its timetable again."""
        self._withheld = False
        self.come_back()

    # --- when its time has come ---------------------------------------------------------------------------------

    def leave(self) -> None:
        """The device leaves."""
        self._leaves = None
        self._stop()

    def come_back(self) -> None:
        """The device is back, unless something else keeps it away."""
        self._returns = None
        if self.here:
            waiting, self._waiting = self._waiting, []
            for event, stage in waiting:
                self._agenda.now(event, stage)
        else:
            self._expect()

    # --- inside -------------------------------------------------------------------------------------------------

    def _span(self) -> tuple[bool, float]:
        return (True, math.inf) if self._place is None else self._place.at(self._agenda.environment.now)

    def _stop(self) -> None:
        going_on, self._going_on = self._going_on, []
        for activity in going_on:
            activity.stop()

    def _expect(self) -> None:
        online, until = self._span()
        if self._waiting and not online and self._returns is None and math.isfinite(until):
            self._returns = self._appointed(until, _COME_BACK)

    def _appointed(self, moment: float, stage: Stage) -> Appointment:
        return Moment(self._agenda, moment, self, stage).awaited()


class Moment:
    """A moment (s) at which a stage begins, to the last bit.

    No number of seconds may lead from now to it: where now and the seconds sum to just half between two numbers, the sum is rounded to the
    even one. Then one comes close first, and from there, now being more than half of it, the difference is exact (Sterbenz, Floating-Point
    Computation, 1974).
    """

    __slots__ = ("_agenda", "_event", "_stage", "moment")

    def __init__(self, agenda: Agenda, moment: float, event: object, stage: Stage) -> None:
        self._agenda, self.moment, self._event, self._stage = agenda, moment, event, stage

    def awaited(self) -> Appointment:
        """The appointment with it."""
        now = self._agenda.environment.now
        seconds = self.moment - now
        while now + seconds > self.moment:
            seconds = math.nextafter(seconds, 0.0)
        return self._agenda.appoint(seconds, self, _COME)

    def come(self) -> None:
        """It has come, or nearly."""
        if self._agenda.environment.now < self.moment:
            self.awaited()
        else:
            self._stage[0](self._event)


_COME: Final[Stage] = (Moment.come,)
_LEAVE: Final[Stage] = (Presence.leave,)
_COME_BACK: Final[Stage] = (Presence.come_back,)
