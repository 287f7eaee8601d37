"""Absences: when devices were not there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Absences:
    """Spans of time (s) in which devices were not there, by device and then by time, each array (spans,); those of one do not overlap."""

    device: Integers
    start: Floats
    end: Floats

    def of(self, devices: Integers) -> "Absences":
        """Those of these devices (ascending, one after another among all that there are)."""
        if not len(devices) or not len(self.device):
            return NOBODY_AWAY
        some = slice(*np.searchsorted(self.device, [devices[0], devices[-1] + 1]))
        return Absences(self.device[some], self.start[some], self.end[some])

    def within(self, start: float, end: float) -> "Absences":
        """Those of one device that are at least partly between two moments (s)."""
        some = slice(int(np.searchsorted(self.end, start, "right")), int(np.searchsorted(self.start, end)))
        return Absences(self.device[some], self.start[some], self.end[some])

    def spans(self) -> list[tuple[float, float]]:
        """From when to when, without saying who."""
        return list(zip(self.start.tolist(), self.end.tolist(), strict=True))


NOBODY_AWAY: Final = Absences(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))

AwayUntil = Callable[[Integers, float], Absences]
"""Gives the absences of these devices (ascending) from 0 to an end (s)."""


def nobody_away(devices: Integers, end: float) -> Absences:
    """No absences."""
    return NOBODY_AWAY
