"""Absences: when devices were not there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.battery_account import Account
from fedtiny.simulation.intervals import Interval, merged

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


def emptied(accounts: Mapping[int, Account]) -> Absences:
    """When devices were away because their batteries were empty, by their numbers."""
    spans = [(number, *span) for number in sorted(accounts) for span in accounts[number].away]
    rows = np.array(spans, dtype=np.float64).reshape(-1, 3)
    return Absences(rows[:, 0].astype(np.int64), rows[:, 1], rows[:, 2])


def united(one: Absences, other: Absences, devices: Integers, end: float) -> Absences:
    """When these devices (ascending) were away for one reason or another, from 0 to an end (s)."""
    rows = np.isin(other.device, devices) & (other.start < end)
    if not rows.any():
        return one
    found: dict[int, list[Interval]] = {}
    for part in (one, Absences(other.device[rows], other.start[rows], np.minimum(other.end[rows], end))):
        for device, span in zip(part.device.tolist(), part.spans(), strict=True):
            found.setdefault(device, []).append(span)
    spans = [(device, *span) for device in sorted(found) for span in merged(found[device])]
    table = np.array(spans, dtype=np.float64).reshape(-1, 3)
    return Absences(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])


def nobody_away(devices: Integers, end: float) -> Absences:
    """No absences."""
    return NOBODY_AWAY
