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


NOBODY_AWAY: Final = Absences(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))

AwayUntil = Callable[[Integers, float], Absences]
"""Gives the absences of these devices (ascending) from 0 to an end (s)."""
