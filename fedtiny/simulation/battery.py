"""The charge of one device's battery over time, exactly.

Between two changes of what is drawn and what is given the charge is a straight line,

    charge(t) = charge(s) + (given - drawn) (t - s)

so the moment at which it is empty, full, or at a level at which the device refuses work or is on again, is found by solving for it. Nothing
is scheduled for a device that does nothing: its charge is a function of the time that has passed, over the ends of its spans and of its
charging, and is worked out when somebody asks for it.

What is drawn is what the activities of the device cost (costs/energy.py): idle power while it is there and its processor does nothing, the
power of the work while it does something, and what its radio draws beside that. While it is away it draws nothing. A battery that is full
is given what is drawn.
"""

import copy
import math
from enum import Enum
from typing import Final, Protocol

import numpy as np

from fedtiny.fleet import battery as fleet
from fedtiny.fleet.timetable import Spans
from fedtiny.simulation.battery_account import Account, Drain

_CHANGES_AHEAD: Final = 1_000
"""How many changes of what is drawn or given somebody looks ahead who waits for a device that is off or refuses: where it is not back by
then, it never will be."""
_ONE: Final = np.zeros(1, np.int64)


class Load(Protocol):
    """Something that draws."""

    def owes(self, battery: "Battery") -> float:
        """Joules that it has cost until now, beside those that the battery has given by what it draws."""


class Level(Enum):
    """Where a charge can arrive."""

    EMPTY = "empty"
    RESUMES = "resumes"
    REFUSES = "refuses"
    ACCEPTS = "accepts"
    FULL = "full"


class Battery:
    """The battery of one device; moments (s) only move on."""

    __slots__ = (
        "_away",
        "_back",
        "_charge",
        "_crossing",
        "_drain",
        "_drawn",
        "_level",
        "_loads",
        "_online",
        "_out",
        "_part",
        "_rate",
        "_span_end",
        "_spans",
        "_tail_end",
        "_time",
        "_until",
        "_working",
        "accepts",
        "alive",
        "charged",
        "drained",
        "initial",
        "since",
    )

    def __init__(self, part: fleet.Battery, initial: float, drain: Drain, spans: Spans | None = None) -> None:
        """`initial` is its charge at time 0 (J), and `spans` are the device's, for nobody else to move."""
        self._part, self._drain, self._spans = part, drain, spans
        self._online, self._span_end = (True, math.inf) if spans is None else (bool(spans.online[0]), float(spans.until[0]))
        self.initial = self._charge = initial
        self.charged = self.drained = 0.0
        """Joules that it was given, and that were taken from it, until the last change."""
        self.alive = initial > 0.0
        """Whether the device is not off, as of the last moment asked for."""
        self.accepts = initial >= part.refuses_below * part.capacity
        """Whether the charge is not below the level at which the device refuses work, as of the last moment asked for."""
        self.since = -math.inf
        """When the device was last on and accepting before it was not (s)."""
        self._time, self._tail_end = 0.0, -math.inf
        self._away: list[tuple[float, float]] = []
        self._out: float | None = None if self.alive else 0.0
        self._back: float | None = None
        """When the device, which is off, is on again (s), once that was asked for."""
        self._working: tuple[Load, float] | None = None
        self._loads: dict[Load, float] = {}
        self._plan()

    # --- what it says --------------------------------------------------------------------------------------------

    @property
    def drain(self) -> Drain:
        """What the device draws."""
        return self._drain

    @property
    def next_change(self) -> float:
        """When what is drawn, given or accepted changes next, if the device goes on as it does (s)."""
        return min(self._crossing, self._until)

    def charge(self, now: float) -> float:
        """Its charge (J) at a moment (s); below 0 where a transfer was paid for at its end that was more than there was."""
        self.advance(now)
        return self._charge + self._rate * (now - self._time)

    def comes(self, now: float, *, accepting: bool) -> float:
        """When the device is on next, and also accepts work, if it goes on as it does (s); now where it does; infinity for never."""
        self.advance(now)
        if self.alive or accepting:
            return self._comes(now, accepting=accepting)
        if self._back is None:
            self._back = self._comes(now, accepting=False)
        return self._back

    # --- what happens to it --------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Lets time pass until now (s)."""
        while (moment := min(self._crossing, self._until)) <= now:
            self._go(moment)
            if self._level is not None and self._crossing <= moment:
                self._arrive(self._level)
            self._plan()

    def work(self, load: Load, watts: float, now: float) -> None:
        """From now on the processor draws so much in place of idle power, until the load is taken off."""
        self._settle(now)
        self._working = (load, watts)
        self._plan()

    def load(self, load: Load, watts: float, now: float) -> None:
        """From now on something draws so much beside the rest, until it is taken off."""
        self._settle(now)
        self._loads[load] = watts
        self._plan()

    def take_off(self, load: Load, now: float) -> None:
        """From now on that draws nothing."""
        self._settle(now)
        self._loads.pop(load, None)
        if self._working is not None and self._working[0] is load:
            self._working = None
        self._plan()

    def tail(self, until: float, now: float) -> None:
        """The radio, which sends nothing, is awake until so late (s); where that is not later than now, it sends."""
        self._settle(now)
        self._tail_end = until
        self._plan()

    def pay(self, joules: float, now: float) -> None:
        """So much is taken from it at once."""
        self._settle(now)
        self.drained += joules
        self._charge -= joules
        self._back = None
        excess = max(0.0, self._charge - self._part.capacity)
        # what was taken too early was given by the charger too early
        self._charge -= excess
        self.charged -= excess
        level = self._part.refuses_below * self._part.capacity
        if self.accepts and self._charge < level:
            self._refuse()
        elif not self.accepts and self._charge >= level:
            self.accepts = True
        if self.alive and self._charge <= 0.0:
            self._die()
        self._plan()

    def account(self, end: float) -> Account:
        """What became of it until the end (s) of a run, the present."""
        going_on = [*self._loads, *([] if self._working is None else [self._working[0]])]
        for load in going_on:
            self.pay(load.owes(self), end)
        self._settle(end)
        away = (*self._away, *([] if self._out is None or self._out >= end else [(self._out, end)]))
        return Account(self._part.capacity, self.initial, self.charged, self.drained, self._charge, away)

    # --- inside --------------------------------------------------------------------------------------------------

    def _comes(self, now: float, *, accepting: bool) -> float:
        if self._part.charging is None and not (self.alive and (self.accepts or not accepting)):
            return math.inf
        ahead = self._copied()
        for _ in range(_CHANGES_AHEAD):
            if ahead.alive and (ahead.accepts or not accepting):
                return max(now, ahead._time)
            moment = ahead.next_change
            if math.isinf(moment):
                break
            ahead.advance(moment)
        return math.inf

    def _settle(self, now: float) -> None:
        self.advance(now)
        self._go(now)

    def _go(self, moment: float) -> None:
        passed = moment - self._time
        self.drained += self._drawn * passed
        self.charged += (self._rate + self._drawn) * passed
        self._charge += self._rate * passed
        self._time = moment

    def _plan(self) -> None:
        """What is drawn and given from here on, and when that or the state of the device changes."""
        now, part = self._time, self._part
        self._follow_spans(now)
        given, switch = (part.charging or fleet.NEVER_CHARGED).watts(now, online=self._online)
        self._drawn = self._draw() if self.alive and self._online else 0.0
        self._rate = given - self._drawn
        if self._rate > 0.0 and self._charge >= part.capacity:
            self._rate = 0.0
        # what is off draws nothing, and only a charger may care whether it would be there
        spans_matter = self.alive or isinstance(part.charging, fleet.WithSession)
        tail_end = self._tail_end if self.alive and self._tail_end > now else math.inf
        self._until = min(self._span_end if spans_matter else math.inf, switch, tail_end)
        self._level, ahead = self._next_level()
        self._crossing = math.inf if self._level is None else now + ahead / abs(self._rate)

    def _draw(self) -> float:
        own = self._drain.idle if self._working is None else self._working[1]
        radio = self._drain.tail if self._tail_end > self._time else 0.0
        return own + radio + sum(self._loads.values())

    def _next_level(self) -> tuple[Level | None, float]:
        """The level that the charge comes to next, and how far it is (J)."""
        part, charge = self._part, self._charge
        refuses, resumes = part.refuses_below * part.capacity, part.resumes_above * part.capacity
        if self._rate < 0.0:
            found = [(Level.REFUSES, charge - refuses)] if self.accepts and refuses > 0.0 else []
            found += [(Level.EMPTY, charge)] if self.alive else []
        elif self._rate > 0.0:
            found = [] if self.accepts else [(Level.ACCEPTS, refuses - charge)]
            found += [] if self.alive else [(Level.RESUMES, resumes - charge)]
            found.append((Level.FULL, part.capacity - charge))
        else:
            found = []
        level, ahead = min(found, key=lambda item: item[1], default=(None, math.inf))
        return level, max(0.0, ahead)

    def _arrive(self, level: Level) -> None:
        part = self._part
        match level:
            case Level.EMPTY:
                self._charge = 0.0
                self._die()
            case Level.RESUMES:
                self._charge = part.resumes_above * part.capacity
                self._resume()
            case Level.REFUSES:
                self._charge = part.refuses_below * part.capacity
                self._refuse()
            case Level.ACCEPTS:
                self._charge = part.refuses_below * part.capacity
                self.accepts = True
            case Level.FULL:
                self._charge = part.capacity

    def _die(self) -> None:
        self.since = self._time if self.accepts else self.since
        self.alive, self._out, self._back = False, self._time, None

    def _resume(self) -> None:
        if self._out is not None and self._time > self._out:
            self._away.append((self._out, self._time))
        self.alive, self._out = True, None

    def _refuse(self) -> None:
        self.since = self._time if self.alive else self.since
        self.accepts = False

    def _follow_spans(self, now: float) -> None:
        spans = self._spans
        if spans is not None and self._span_end <= now:
            spans.move(_ONE, now)
            self._online, self._span_end = bool(spans.online[0]), float(spans.until[0])

    def _copied(self) -> "Battery":
        """One that can go ahead alone."""
        other = copy.copy(self)
        other._loads, other._away = dict(self._loads), []
        other._spans = None if self._spans is None else self._spans.copied()
        return other
