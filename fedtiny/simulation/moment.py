"""Moments: appointments whose time is given as a time, not as a delay."""

import math
from typing import Final

from fedtiny.simulation.agenda import Agenda, Appointment, Stage


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
