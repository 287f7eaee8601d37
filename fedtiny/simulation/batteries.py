"""The batteries of a fleet, each made when somebody asks for it; the charge of a device at time 0 is drawn from

    ("group", g, "device", i, "battery")

so that it depends on the seed, the group and the index of the device alone.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedtiny.fleet import battery as fleet
from fedtiny.fleet.timetable import Spans
from fedtiny.randomness import Streams
from fedtiny.simulation.battery import Battery
from fedtiny.simulation.battery_account import Account, Drain

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Powered:
    """The devices of one group that live on batteries."""

    first: int
    count: int
    position: int
    """The place of the group in the fleet."""
    part: fleet.Battery
    drain: Drain


class Batteries:
    """The batteries of those who have one; `spans(number)` gives a device's own spans, None for one that never leaves by itself."""

    def __init__(self, powered: Sequence[Powered], streams: Streams, spans: Callable[[int], Spans | None]) -> None:
        self._powered, self._streams, self._spans = powered, streams, spans
        self._made: dict[int, Battery] = {}

    def __bool__(self) -> bool:
        """Whether anybody has one."""
        return bool(self._powered)

    def of(self, number: int) -> Battery | None:
        """The battery of a device; None for one without."""
        found = self._made.get(number)
        if found is None:
            place = bisect_right(self._powered, number, key=lambda powered: powered.first) - 1
            if place >= 0 and number < self._powered[place].first + self._powered[place].count:
                found = self._made[number] = self._new(self._powered[place], number)
        return found

    def among(self, devices: Integers) -> list[tuple[int, Battery]]:
        """Those of these devices (ascending) that have one, with their numbers."""
        found = []
        for one in self._powered:
            own = devices[slice(*np.searchsorted(devices, [one.first, one.first + one.count]))]
            for number in own.tolist():
                battery = self.of(number)
                assert battery is not None
                found.append((number, battery))
        return found

    def charges(self, number: int, devices: Integers, now: float) -> list[dict[str, float]]:
        """A row for each group that these devices (ascending) are of: their charges at a moment (s) in a round; see `Trace.charges`."""
        rows: list[dict[str, float]] = []
        for one in self._powered:
            own = devices[slice(*np.searchsorted(devices, [one.first, one.first + one.count]))]
            shares = np.array([battery.charge(now) for _, battery in self.among(own)]) / one.part.capacity
            if len(shares):
                spread = {"mean": float(shares.mean()), "least": float(shares.min()), "most": float(shares.max())}
                rows.append({"round": number, "virtual_time": now, "group": one.position, **spread})
        return rows

    def accounts(self, devices: Integers, end: float) -> dict[int, Account]:
        """What became of the batteries of these devices (ascending) until the end of the run (s), the present, by number."""
        return {number: battery.account(end) for number, battery in self.among(devices)}

    def _new(self, powered: Powered, number: int) -> Battery:
        index = number - powered.first
        drawn = float(self._streams.numpy("group", powered.position, "device", index, "battery").random())
        return Battery(powered.part, powered.part.initial_joules(drawn), powered.drain, self._spans(number))


def seen(battery: Battery | None, now: float, noticed_after: float) -> bool:
    """Whether the server takes a device for one that works, as far as its battery goes, at a moment (s)."""
    if battery is None:
        return True
    battery.advance(now)
    return (battery.alive and battery.accepts) or now - battery.since < noticed_after
