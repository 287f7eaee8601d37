"""Presence: whether a device is there, and what happens when it leaves and when it is back.

A device is there from the moment at which a span of its timetable begins (fleet/timetable.py) until just before it ends. Nothing is
scheduled for a device that has nothing to do: only what would go on past the end of the span is told when the device leaves, and only what
waits for the device is told when it is back. What ends at the very moment at which the device leaves has ended.

A device whose battery is empty is away too, until it is charged again, and one whose battery is low begins nothing new. What it does then
is stopped at the very moment at which the battery is empty; as long as it does nothing, nobody looks (battery.py).
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from fedtiny.fleet.timetable import Spans
from fedtiny.simulation.agenda import Agenda, Appointment, Stage
from fedtiny.simulation.battery import Battery, Load
from fedtiny.simulation.moment import Moment


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


class Activity(Load, Protocol):
    """Something that a device does and that stops when the device leaves."""

    def power(self, battery: Battery, end: float) -> tuple[float, bool]:
        """What it draws (W) if it goes on from now to `end` (s), and whether that is in place of idle power."""

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
    """The presence of one device; `place` is None for one that leaves only when its battery is empty."""

    __slots__ = (
        "_agenda",
        "_change",
        "_going_on",
        "_last_end",
        "_leaves",
        "_place",
        "_refused",
        "_returns",
        "_waiting",
        "battery",
        "on_leave",
    )

    def __init__(self, agenda: Agenda, place: Place | None, on_leave: OnLeave = PAUSE, battery: Battery | None = None) -> None:
        self._agenda, self._place, self.on_leave, self.battery = agenda, place, on_leave, battery
        self._going_on: list[Activity] = []
        self._last_end = -math.inf
        self._waiting: list[tuple[object, Stage]] = []
        self._refused: list[tuple[object, Stage]] = []
        self._leaves: Appointment | None = None
        self._returns: Appointment | None = None
        self._change: tuple[float, Appointment] | None = None

    @property
    def here(self) -> bool:
        """Whether the device is there now."""
        return self._span()[0] and self._lives()

    @property
    def accepts(self) -> bool:
        """Whether the device begins new work, if it is there."""
        return self._lives() and (self.battery is None or self.battery.accepts)

    @property
    def gives_up(self) -> bool:
        """Whether what a device does that is away now is given up: as its availability says, and where its battery is empty for ever."""
        return self.on_leave.fails or self.is_gone

    @property
    def is_gone(self) -> bool:
        """Whether the battery is empty and will not be charged."""
        return self.battery is not None and not self._lives() and math.isinf(self.battery.comes(self._now, accepting=False))

    @property
    def refuses_for_ever(self) -> bool:
        """Whether the device does nothing, and will never begin new work again."""
        return self.battery is not None and not self._going_on and math.isinf(self.battery.comes(self._now, accepting=True))

    def begin(self, activity: Activity, end: float) -> None:
        """An activity begins, the device being there, and is planned to end at `end` (s; infinity where that is not known)."""
        self._going_on.append(activity)
        _, until = self._span()
        if end > until and self._leaves is None:
            self._leaves = self._appointed(until, _LEAVE)
        if self.battery is not None:
            self._last_end = max(self._last_end, end)
            self._draw(self.battery, activity, end)

    def end(self, activity: Activity) -> None:
        """An activity has ended."""
        if activity in self._going_on:
            self._going_on.remove(activity)
            if not self._going_on:
                self._last_end = -math.inf
            self._settle(activity)
            self._watch()

    def after_return(self, event: object, stage: Stage) -> None:
        """Something that needs the device goes on with this stage when it is back."""
        self._waiting.append((event, stage))
        self._expect()
        self._watch()

    def after_charging(self, event: object, stage: Stage) -> None:
        """Something new that the device refuses goes on with this stage when it begins new work again."""
        self._refused.append((event, stage))
        self._watch()

    def load(self, load: Load, watts: float) -> None:
        """From now on something draws so much more that does not stop by itself when the device leaves."""
        if self.battery is not None:
            self.battery.load(load, watts, self._now)
            self._watch()

    def take_off(self, load: Load) -> None:
        """From now on it does not."""
        if self.battery is not None:
            self.battery.take_off(load, self._now)
            self._watch()

    def tail(self, seconds: float) -> None:
        """The radio stays awake for so many seconds from now on, for which the device is on; 0: it begins to send."""
        if self.battery is not None:
            self.battery.tail(self._now + seconds, self._now)
            self._watch()

    # --- when its time has come ---------------------------------------------------------------------------------

    def leave(self) -> None:
        """The device leaves."""
        self._leaves = None
        self._stop()

    def come_back(self) -> None:
        """The device is back, unless its battery is empty."""
        self._returns = None
        if self.here:
            self._go_on()
        else:
            self._expect()
            self._watch()

    def battery_changes(self) -> None:
        """The battery is empty, or charged again, or what it draws or is given changes."""
        self._change = None
        if not self._lives():
            self._stop()
        elif self._span()[0]:
            self._go_on()
        else:
            self._expect()
        if self.accepts:
            self._begin_refused()
        self._watch()

    # --- inside -------------------------------------------------------------------------------------------------

    @property
    def _now(self) -> float:
        return float(self._agenda.environment.now)

    def _span(self) -> tuple[bool, float]:
        return (True, math.inf) if self._place is None else self._place.at(self._now)

    def _lives(self) -> bool:
        if self.battery is None:
            return True
        self.battery.advance(self._now)
        return self.battery.alive

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event, stage in waiting:
            self._agenda.now(event, stage)

    def _begin_refused(self) -> None:
        refused, self._refused = self._refused, []
        for event, stage in refused:
            self._agenda.now(event, stage)

    def _stop(self) -> None:
        going_on, self._going_on, self._last_end = self._going_on, [], -math.inf
        for activity in going_on:
            activity.stop()
            self._settle(activity)
        self._watch()

    def _expect(self) -> None:
        online, until = self._span()
        if self._waiting and not online and self._returns is None and math.isfinite(until):
            self._returns = self._appointed(until, _COME_BACK)

    def _appointed(self, moment: float, stage: Stage) -> Appointment:
        return Moment(self._agenda, moment, self, stage).awaited()

    # --- what the battery has to do with it ---------------------------------------------------------------------

    def _draw(self, battery: Battery, activity: Activity, end: float) -> None:
        watts, in_place_of_idle = activity.power(battery, end)
        if in_place_of_idle:
            battery.work(activity, watts, self._now)
        else:
            battery.load(activity, watts, self._now)
        self._watch()

    def _settle(self, activity: Activity) -> None:
        """What has ended draws nothing any more, and is paid for."""
        if self.battery is not None:
            self.battery.take_off(activity, self._now)
            owed = activity.owes(self.battery)
            if owed:
                self.battery.pay(owed, self._now)
                if not self.battery.alive:
                    self._stop()

    def _watch(self) -> None:
        """Keeps the appointment with the next change of the battery that matters."""
        battery = self.battery
        if battery is None:
            return
        if self._refused and self.refuses_for_ever:
            self._begin_refused()
        moment = self._matters(battery)
        if self._change is not None and self._change[0] != moment:
            self._change[1].call_off()
            self._change = None
        if self._change is None and math.isfinite(moment):
            self._change = (moment, self._appointed(moment, _BATTERY_CHANGES))

    def _matters(self, battery: Battery) -> float:
        """When the battery changes next what the device does or what waits for it (s); infinity for never."""
        now = self._now
        battery.advance(now)
        moments = [battery.next_change] if self._going_on and battery.next_change < self._last_end else []
        if self._waiting and not battery.alive:
            moments.append(battery.comes(now, accepting=False))
        if self._refused:
            moments.append(battery.comes(now, accepting=True))
        return min(moments, default=math.inf)


_LEAVE: Final[Stage] = (Presence.leave,)
_COME_BACK: Final[Stage] = (Presence.come_back,)
_BATTERY_CHANGES: Final[Stage] = (Presence.battery_changes,)
