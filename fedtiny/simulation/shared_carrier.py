"""How the transfers of one device go over a link that it shares with others; nobody knows beforehand when they end."""

from math import ceil, inf
from typing import Final, cast

from fedtiny.fleet.time_of_day import TimeOfDay
from fedtiny.simulation.agenda import Agenda, Appointment, Stage
from fedtiny.simulation.shared_link import Flow, SharedLink

_ROUNDING: Final = 1e-6


class SharedCarrier:
    """One direction of a device's connection, behind a link that others use too: a `Carrier`.

    The time of day changes what the device can do alone.
    """

    __slots__ = ("_agenda", "_day", "_flow", "_hour", "_link", "_rate", "_size")

    def __init__(self, agenda: Agenda, link: SharedLink, day: TimeOfDay | None) -> None:
        self._agenda, self._link, self._day = agenda, link, day
        self._flow: Flow | None = None
        self._hour: Appointment | None = None
        self._size, self._rate = 0, 0.0

    def begin(self, size: int, rate: float, passenger: object, done: Stage) -> float:
        """See `Carrier`."""
        self._size, self._rate = size, rate
        self._flow = self._link.begin(float(size), self._now_at(rate), passenger, done)
        self._next_hour()
        return inf

    def stop(self) -> int:
        """See `Carrier`; what was sent is whole bytes."""
        return self._still(self._link.stop(cast(Flow, self._flow)))

    def sent(self) -> int:
        """See `Carrier`."""
        return self._size - self._still(self._link.left(cast(Flow, self._flow)))

    def change(self) -> None:
        """A new hour has begun."""
        flow = cast(Flow, self._flow)
        if not flow.over:
            self._link.change(flow, self._now_at(self._rate))
            self._next_hour()

    def _still(self, left: float) -> int:
        return min(self._size, ceil(left - _ROUNDING))

    def _now_at(self, rate: float) -> float:
        return rate if self._day is None else rate * self._day.rate_factor(self._agenda.environment.now)

    def _next_hour(self) -> None:
        if self._day is None or self._rate == inf:
            return
        if self._hour is not None:
            self._hour.call_off()
        self._hour = self._agenda.appoint(self._day.next_hour(self._agenda.environment.now), self, _CHANGE)


_CHANGE: Final[Stage] = (SharedCarrier.change,)
