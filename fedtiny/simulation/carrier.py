"""How transfers go over one direction of a device's connection, where that is more than bytes over a rate."""

from math import inf
from typing import Protocol, cast

from fedtiny.fleet.time_of_day import TimeOfDay
from fedtiny.simulation.agenda import Agenda, Appointment, Stage


class Carrier(Protocol):
    """What carries one transfer at a time."""

    def begin(self, size: int, rate: float, passenger: object, done: Stage) -> float:
        """Begins with a transfer of `size` bytes, of which the device can send `rate` in a second; `done` begins with the passenger when
        it ends. Gives when that is planned (s), infinity where nobody knows."""

    def stop(self) -> int:
        """Ends the transfer now, and gives how many bytes are still to be sent."""

    def sent(self) -> int:
        """Whole bytes of the transfer that were sent until now."""


class OwnCarrier:
    """A connection that the device has for itself, at rates that depend on the time of day."""

    __slots__ = ("_agenda", "_begun", "_day", "_ending", "_seconds", "_size")

    def __init__(self, agenda: Agenda, day: TimeOfDay | None) -> None:
        self._agenda, self._day = agenda, day
        self._ending: Appointment | None = None
        self._begun = self._seconds = 0.0
        self._size = 0

    def begin(self, size: int, rate: float, passenger: object, done: Stage) -> float:
        """See `Carrier`."""
        now = self._agenda.environment.now
        self._size, self._begun = size, now
        work = 0.0 if rate == inf else size / rate
        self._seconds = work if self._day is None else self._day.seconds(now, work)
        self._ending = self._agenda.appoint(self._seconds, passenger, done)
        return now + self._seconds

    def stop(self) -> int:
        """See `Carrier`; what was sent is whole bytes, in proportion to the time."""
        cast(Appointment, self._ending).call_off()
        return self._size - self.sent()

    def sent(self) -> int:
        """See `Carrier`."""
        passed = self._agenda.environment.now - self._begun
        if passed >= self._seconds:
            return self._size
        if self._day is None:
            return int(self._size * (passed / self._seconds))
        return int(self._size * (self._day.work(self._begun, passed) / self._day.work(self._begun, self._seconds)))
