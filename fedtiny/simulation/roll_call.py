"""The roll call: which devices of a fleet are there at a moment, as far as the server knows.

The server of a real federation learns of a device that comes at once, and of one that has left only some time later (Flower 1.41: a
SuperNode sends a heartbeat every 21 to 27 s and counts as online for 60 s after each, so until 33 to 60 s after it left; measured with
a SuperNode that was killed: 47.7 s). So a device is on the roll while it is online, and for `noticed_after` longer.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from fedtiny.errors import ScenarioError, SimulationError
from fedtiny.fleet.availability import AnyAvailability, Leaving
from fedtiny.fleet.battery import Battery
from fedtiny.fleet.timetable import Spans, Timetable
from fedtiny.randomness import Streams
from fedtiny.simulation.absences import Absences
from fedtiny.simulation.agenda import Agenda
from fedtiny.simulation.batteries import Batteries, Powered, seen
from fedtiny.simulation.battery_account import NO_DRAINS, Account, Drain
from fedtiny.simulation.presence import OnLeave, Place, Presence
from fedtiny.simulation.trace import Trace

LOOKS_EVERY: Final = 1.0
"""How often a server looks whether enough devices are there (s), as Flower's `sample_nodes` does."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class Group(Protocol):
    """Devices that come and leave alike."""

    @property
    def count(self) -> int:
        """How many."""

    @property
    def availability(self) -> AnyAvailability:
        """When they do."""

    @property
    def battery(self) -> Battery | None:
        """What they live on; None for those that need not care."""


@dataclass(frozen=True)
class _Part:
    """The devices of one group that come and leave."""

    first: int
    count: int
    timetable: Timetable
    on_leave: OnLeave

    @cached_property
    def spans(self) -> Spans:
        """Where all of them are now."""
        return Spans(self.timetable, np.arange(self.count, dtype=np.int64))


class RollCall:
    """The devices that take part (`enrolled`, ascending) and when they are there; moments only move on.

    `drains` say what the devices of groups with batteries draw, by the place of the group; without them nobody has a battery. A device is
    not on the roll either while its battery is empty or so low that it refuses work, which is noticed as late as that it has left.
    """

    def __init__(
        self, fleet: Sequence[Group] | Group, streams: Streams, enrolled: Sequence[int], drains: Mapping[int, Drain] = NO_DRAINS
    ) -> None:
        groups = fleet if isinstance(fleet, Sequence) else [fleet]
        self.enrolled = enrolled
        self._parts = list(_parts(groups, streams))
        self._devices = sum(group.count for group in groups)
        self._batteries = Batteries(_powered(groups, drains), streams, self._spans)
        self._known: tuple[float, Sequence[int]] | None = None

    @property
    def changes(self) -> bool:
        """Whether anybody may ever be missing."""
        return bool(self._parts or self._batteries)

    def presence(self, number: int, agenda: Agenda) -> Presence | None:
        """The presence of a device; None for one that never leaves."""
        part, battery = self._part(number), self._batteries.of(number)
        if part is None:
            return None if battery is None else Presence(agenda, None, battery=battery)
        return Presence(agenda, Place(part.spans, number - part.first), part.on_leave, battery)

    def present(self, now: float) -> Sequence[int]:
        """The running numbers of those on the roll at a moment (s), ascending."""
        if not self.changes:
            return self.enrolled
        if self._known is None or self._known[0] != now or self._batteries:
            self._known = (now, self._numbers(now))
        return self._known[1]

    def is_present(self, number: int, now: float) -> bool:
        """Whether a device is on the roll at a moment (s)."""
        part = self._part(number)
        if not seen(self._batteries.of(number), now, _lag(part)):
            return False
        if part is None:
            return True
        place = np.array([number - part.first])
        part.spans.move(place, now)
        return bool(_listed(part, place, now)[0])

    def next_arrival(self, now: float) -> float:
        """When the next of those that are not there comes (s); infinity where nobody will."""
        found = math.inf
        for number, battery in self._batteries.among(self._wanted):
            part = self._part(number)
            online, until = (True, now) if part is None else Place(part.spans, number - part.first).at(now)
            arrival = max(now if online else until, battery.comes(now, accepting=True))
            found = arrival if now < arrival < found else found
        for part in self._parts:
            if self._batteries.of(part.first) is not None:
                continue
            own = self._wanted[slice(*np.searchsorted(self._wanted, [part.first, part.first + part.count]))] - part.first
            part.spans.move(own, now)
            away = own[~part.spans.online[own]]
            found = min(found, float(part.spans.until[away].min(initial=math.inf)))
        return found

    def gather(self, wanted: int, now: Callable[[], float], sleep: Callable[[float], None], trace: Trace) -> Sequence[int]:
        """Those on the roll when there are so many, looking every second until then; all where nobody else will come.

        Where that is because batteries are empty for ever, a run that ends at a virtual time goes on until then.
        """
        began = now()
        while len(found := self.present(now())) < wanted:
            arrival = self.next_arrival(now())
            if math.isinf(arrival):
                if self._batteries:
                    with suppress(SimulationError):
                        sleep(math.inf)
                break
            looks = max(1.0, math.ceil((arrival - began) / LOOKS_EVERY))
            left = began + looks * LOOKS_EVERY - now()
            # less than the clock can show would not let time pass
            sleep(left if now() + left > now() else LOOKS_EVERY)
        if now() > began:
            trace.gathered.append((began, now()))
        return found

    def charges(self, number: int, now: float) -> list[dict[str, float]]:
        """The charges of those that take part, by group, at a moment (s) in a round; see `Trace.charges`."""
        return self._batteries.charges(number, self._wanted, now) if self._batteries else []

    def accounts(self, end: float) -> dict[int, Account]:
        """What became of the batteries of those that take part until the end of a run (s), the present; by number."""
        return self._batteries.accounts(self._wanted, end)

    def away(self, devices: Integers, end: float) -> Absences:
        """When these devices (ascending) are not online by their availability, from 0 to `end` (s)."""
        owners, since, until = [np.zeros(0, np.int64)], [np.zeros(0)], [np.zeros(0)]
        for part in self._parts:
            own = devices[(devices >= part.first) & (devices < part.first + part.count)]
            for numbers, start, finish in _gaps(Spans(part.timetable, own - part.first), own, end):
                owners.append(numbers)
                since.append(start)
                until.append(finish)
        device, start, finish = np.concatenate(owners), np.concatenate(since), np.minimum(np.concatenate(until), end)
        order = np.lexsort((start, device))
        return Absences(device[order], start[order], finish[order])

    # --- inside -------------------------------------------------------------------------------------------------

    @cached_property
    def _wanted(self) -> Integers:
        return np.fromiter(self.enrolled, np.int64, len(self.enrolled))

    def _spans(self, number: int) -> Spans | None:
        """A device's own, for its battery."""
        part = self._part(number)
        return None if part is None else Spans(part.timetable, np.array([number - part.first]))

    def _part(self, number: int) -> _Part | None:
        place = bisect_right(self._parts, number, key=lambda part: part.first) - 1
        if place < 0 or number >= self._parts[place].first + self._parts[place].count:
            return None
        return self._parts[place]

    def _numbers(self, now: float) -> "Numbers":
        there = np.ones(self._devices, bool)
        for part in self._parts:
            places = np.arange(part.count)
            part.spans.move(places, now)
            there[part.first : part.first + part.count] = _listed(part, places, now)
        powered = self._batteries.among(self._wanted)
        there[[number for number, battery in powered if not seen(battery, now, _lag(self._part(number)))]] = False
        return Numbers(self._wanted[there[self._wanted]])


class Numbers(Sequence[int]):
    """Whole numbers of an array, one at a time."""

    def __init__(self, values: Integers) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> list[int]: ...

    def __getitem__(self, place: int | slice) -> int | list[int]:
        """The number at this place; of a slice, a list."""
        return self._values[place].tolist() if isinstance(place, slice) else int(self._values[place])

    def __iter__(self) -> Iterator[int]:
        """All of them."""
        return iter(self._values.tolist())


def _parts(groups: Sequence[Group], streams: Streams) -> Iterator[_Part]:
    first = 0
    for position, group in enumerate(groups):
        if isinstance(group.availability, Leaving):
            timetable = _timetable(group, group.availability, streams, position)
            yield _Part(first, group.count, timetable, _on_leave(group.availability))
        first += group.count


def _powered(groups: Sequence[Group], drains: Mapping[int, Drain]) -> list[Powered]:
    firsts = np.cumsum([0, *(group.count for group in groups)]).tolist()
    placed = enumerate(zip(firsts, groups, strict=False))
    return [
        Powered(first, group.count, position, group.battery, drains[position])
        for position, (first, group) in placed
        if position in drains and group.battery is not None
    ]


def _lag(part: _Part | None) -> float:
    """How long the server takes a device that is gone for one that is there (s)."""
    return 0.0 if part is None else part.on_leave.noticed_after


def _timetable(group: Group, leaving: Leaving, streams: Streams, position: int) -> Timetable:
    try:
        return leaving.timetable(streams, position, group.count)
    except ScenarioError as error:
        raise ScenarioError(str(error), ("fleet", position, "availability")) from error


def _on_leave(leaving: Leaving) -> OnLeave:
    return OnLeave(leaving.on_leave == "fail", leaving.resume_transfers, leaving.noticed_after)


def _listed(part: _Part, places: Integers, now: float) -> NDArray[np.bool_]:
    """Whether those at these places, who have moved to now, are on the roll."""
    spans, lag = part.spans, part.on_leave.noticed_after
    if not lag:
        return spans.online[places]
    since = spans.since[places]
    return np.asarray(spans.online[places] | ((since > 0.0) & (now - since < lag)))


def _gaps(spans: Spans, numbers: Integers, end: float) -> Iterator[tuple[Integers, Floats, Floats]]:
    """The device, the start and the end of each offline span that begins before `end` (s)."""
    places = np.arange(len(numbers))
    while len(places):
        away = places[~spans.online[places]]
        yield numbers[away], spans.since[away], spans.until[away].copy()
        places = places[spans.until[places] < end]
        spans.step(places)
