"""When devices come and leave, as a pure function of who they are: spans of time in which a device is online, or is not.

A device's spans alternate and touch: each ends when the next begins, and a device is online at the moment at which an online span
begins and no longer at that at which it ends. A timetable gives the first span of any devices of a group, and from one span the next
one, so that nothing is kept for those nobody asks about. `Spans` is the place in its timetable of each of some devices at a moment.
"""

import copy
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fedtiny.fleet.lengths import Lengths
from fedtiny.fleet.random_table import RandomTable

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]


class Timetable(Protocol):
    """When the devices of one group are online. Devices are given by their index in the group, all arrays are (devices,)."""

    def first(self, devices: Integers) -> tuple[Booleans, Integers, Floats]:
        """Whether each is online at time 0, and the number and the end (s) of that span."""

    def following(self, devices: Integers, numbers: Integers, online: Booleans, ends: Floats) -> tuple[Integers, Floats]:
        """The number and the end (s) of the spans after those with these numbers, which end at `ends`; `online`: whether the spans that
        follow are online ones."""

    def skipped(self, devices: Integers, numbers: Integers, ends: Floats, now: float) -> tuple[Integers, Floats]:
        """A later span of the same sort that ends no later than `now` (s), where there is a short way to one: its number and its end."""


@dataclass(frozen=True)
class Renewals:
    """Independent lengths of online and offline spans, which went on for ever before time 0; the stationary alternating renewal process.

    A device is online at time 0 with probability mean online / (mean online + mean offline), and its first span is what is left of one.
    Gaps shorter than `shortest_gap` (s) count as online: the spans around them are one.
    """

    on: Lengths
    off: Lengths
    table: RandomTable
    shortest_gap: float = 0.0

    def first(self, devices: Integers) -> tuple[Booleans, Integers, Floats]:
        """See `Timetable.first`."""
        share = self.on.mean() / (self.on.mean() + self.off.mean())
        state, along = self.table.uniforms(devices, np.zeros_like(devices))
        which, _ = self.table.uniforms(devices, np.ones_like(devices))
        online = state < share
        ends = np.where(online, self.on.left(which, along), self.off.left(which, along))
        return online, *self._merged(devices, np.ones_like(devices), online, ends)

    def following(self, devices: Integers, numbers: Integers, online: Booleans, ends: Floats) -> tuple[Integers, Floats]:
        """See `Timetable.following`; span n is as long as column n of the table says."""
        return self._merged(devices, numbers + 1, online, self._end(devices, numbers + 1, online, ends))

    def skipped(self, devices: Integers, numbers: Integers, ends: Floats, now: float) -> tuple[Integers, Floats]:
        """There is no short way."""
        return numbers, ends

    def _end(self, devices: Integers, numbers: Integers, online: Booleans, begin: Floats) -> Floats:
        which, _ = self.table.uniforms(devices, numbers)
        return np.asarray(begin + np.where(online, self.on.draw(which), self.off.draw(which)))

    def _merged(self, devices: Integers, numbers: Integers, online: Booleans, ends: Floats) -> tuple[Integers, Floats]:
        """Online spans with those that short gaps part from them."""
        left = np.flatnonzero(online) if self.shortest_gap else np.zeros(0, np.int64)
        while len(left):
            yes = np.ones(len(left), bool)
            after = self._end(devices[left], numbers[left] + 1, ~yes, ends[left])
            short = after - ends[left] < self.shortest_gap
            left, after = left[short], after[short]
            numbers[left] += 2
            ends[left] = self._end(devices[left], numbers[left], yes[short], after)
        return numbers, ends


@dataclass(frozen=True)
class Pattern:
    """What a device repeats for ever: the moments (s) in a period of `length` (s) at which it comes or leaves, ascending, the last at most
    at its end, an even number of them; and whether it is online before the first."""

    online: bool
    length: float
    changes: Floats


class Repeated:
    """Devices that repeat patterns; `pattern` says which one each device takes, and `ahead` by how much it is ahead at time 0 (s)."""

    def __init__(self, patterns: list[Pattern], pattern: Integers, ahead: Floats) -> None:
        self._pattern, self._ahead = pattern, ahead
        counts = np.array([len(one.changes) for one in patterns], dtype=np.int64)
        self._counts = counts
        self._begins = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        self._changes = np.concatenate([np.zeros(0), *(one.changes for one in patterns)])
        self._lengths = np.array([one.length for one in patterns])
        self._online = np.array([one.online for one in patterns], dtype=bool)

    def first(self, devices: Integers) -> tuple[Booleans, Integers, Floats]:
        """See `Timetable.first`; numbers are those of the changes that end a span."""
        which, ahead = self._pattern[devices], self._ahead[devices]
        numbers = np.zeros(len(devices), np.int64)
        ends = self._end(which, numbers, ahead)
        while len(behind := np.flatnonzero(ends <= 0.0)):
            numbers[behind] += 1
            ends[behind] = self._end(which[behind], numbers[behind], ahead[behind])
        return self._online[which] ^ (numbers % 2 == 1), numbers, ends

    def following(self, devices: Integers, numbers: Integers, online: Booleans, ends: Floats) -> tuple[Integers, Floats]:
        """See `Timetable.following`."""
        return numbers + 1, self._end(self._pattern[devices], numbers + 1, self._ahead[devices])

    def skipped(self, devices: Integers, numbers: Integers, ends: Floats, now: float) -> tuple[Integers, Floats]:
        """Whole periods; all but one of them, so that rounding skips none too many."""
        which = self._pattern[devices]
        periods = np.maximum(np.floor((now - ends) / self._lengths[which]) - 1, 0).astype(np.int64)
        later = numbers + periods * self._counts[which]
        return later, self._end(which, later, self._ahead[devices])

    def _end(self, which: Integers, numbers: Integers, ahead: Floats) -> Floats:
        """When change `numbers` comes (s); never where there are none."""
        result, some = np.full(len(which), np.inf), np.flatnonzero(self._counts[which])
        which, numbers, ahead = which[some], numbers[some], ahead[some]
        periods, places = np.divmod(numbers, self._counts[which])
        result[some] = (periods * self._lengths[which] - ahead) + self._changes[self._begins[which] + places]
        return result


class Spans:
    """The span in which each of some devices of a group is at a moment; moments only move on.

    `online`, `since` and `until` (s), each (devices,), say what it is and from when to when; `since` is 0 where it began before.
    """

    __slots__ = ("_devices", "_numbers", "_timetable", "online", "since", "until")

    def __init__(self, timetable: Timetable, devices: Integers) -> None:
        self._timetable, self._devices = timetable, devices
        self.online, self._numbers, self.until = timetable.first(devices)
        self.since = np.zeros(len(devices))

    def copied(self) -> "Spans":
        """The same place, for somebody who goes ahead alone."""
        other = copy.copy(self)
        other._numbers, other.online = self._numbers.copy(), self.online.copy()
        other.since, other.until = self.since.copy(), self.until.copy()
        return other

    def move(self, places: Integers, now: float) -> None:
        """Moves those at these places on to a moment (s)."""
        places = places[self.until[places] <= now]
        if len(places):
            numbers, ends = self._timetable.skipped(self._devices[places], self._numbers[places], self.until[places], now)
            self._numbers[places], self.until[places] = numbers, ends
        while len(places):
            self.step(places)
            places = places[self.until[places] <= now]

    def step(self, places: Integers) -> None:
        """Moves those at these places on to their next span."""
        devices, ends, online = self._devices[places], self.until[places], ~self.online[places]
        numbers, until = self._timetable.following(devices, self._numbers[places], online, ends)
        self._numbers[places], self.online[places], self.since[places], self.until[places] = numbers, online, ends, until
