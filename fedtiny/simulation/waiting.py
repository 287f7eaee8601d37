"""What processors wait for: stalls and idle times, of all devices at once.

A device is enrolled from the first message of a round to it until that round's version of the model exists, the device drops out of
it, or the run ends; where the strategy does not work in rounds, from every message to it until its reply has come. Its processor
**stalls** while it is enrolled and free, and **idles** while it is not enrolled and free:

    stall = enrolled - work - offline          idle = [0, end] - enrolled - work - offline

It is **offline** while it is not there, and then does nothing. All are found in one sweep. Every start and end of being enrolled, away,
of work and of the run is a point (device, time) that moves a counter; between neighbouring points of a device nothing changes, so the
counters there say what the processor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.absences import NOBODY_AWAY, Absences
from fedtiny.simulation.by_device import RowsByDevice, in_blocks, taken
from fedtiny.simulation.trace import DROPPED, IDLE, OFFLINE, STALL, UPLOAD, WORK, Columns, Trace

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Waits:
    """Stalls, idle times and times offline as arrays (waits,): by device, and by time within a device; `kind` is STALL, IDLE or OFFLINE,
    or TAIL (radio_tails.py).

    The round of a wait is that of the work that comes next, or of the last work where none comes.
    """

    device: NDArray[np.int32]
    round: NDArray[np.int32]
    kind: NDArray[np.int8]
    start: Floats
    end: Floats


_COLUMNS: Final[dict[str, Any]] = {"device": np.int32, "round": np.int32, "kind": np.int8, "start": np.float64, "end": np.float64}


class WaitsInParts:
    """Waits that are found part by part."""

    def __init__(self) -> None:
        self._arrays: dict[str, list[NDArray[Any]]] = {name: [] for name in _COLUMNS}

    def add(self, part: Waits) -> None:
        """Adds a part behind those that are there."""
        for name, arrays in self._arrays.items():
            arrays.append(getattr(part, name))

    def joined(self) -> Waits:
        """All parts as one, which takes them away from here: one column after the other, so that there is never more than one twice."""
        return Waits(*(self._taken(name) for name in _COLUMNS))

    def _taken(self, name: str) -> NDArray[Any]:
        arrays, self._arrays[name] = self._arrays[name], []
        return np.concatenate([np.zeros(0, _COLUMNS[name]), *arrays])


@dataclass(frozen=True)
class _Spans:
    """Spans of time (s) of devices, each array (spans,); the empty ones are left out."""

    device: Integers
    start: Floats
    end: Floats


def waiting(trace: Trace, versions: Mapping[int, float], devices: Integers, end: float, absences: Absences = NOBODY_AWAY) -> Waits:
    """Stalls and idle times of the processors, from 0 to `end` (s), for every device given (ascending); of others nothing.

    `versions` maps rounds to the time of their version (s); `absences` say when devices are not there.
    """
    columns, asked = trace.columns(), trace.asked.arrays()
    rows, asks = RowsByDevice(columns.device), RowsByDevice(asked[0])
    found = WaitsInParts()
    # what takes the most are the sorted points of all devices, so there are only those of some devices at a time
    for some in in_blocks(devices, rows.up_to(devices) + asks.up_to(devices)):
        chosen = asks.rows(some)
        messages = (asked[0][chosen], asked[1][chosen], asked[2][chosen])
        own = taken(columns, rows.rows(some))
        found.add(_waits(own, messages, trace.left.arrays(), trace.in_rounds, versions, some, end, absences.of(some)))
    return found.joined()


_Messages = tuple[NDArray[np.int32], NDArray[np.int32], Floats]
"""Devices, rounds and times (s) of messages; see `Asked.arrays`."""


def _waits(
    columns: Columns,
    asked: _Messages,
    given_up: _Messages,
    in_rounds: bool,
    versions: Mapping[int, float],
    devices: Integers,
    end: float,
    absences: Absences,
) -> Waits:
    """The same of some devices, from their own rows and messages (others' do no harm)."""
    work = np.flatnonzero(np.isin(columns.kind, WORK) & _among(columns.device, devices))
    first = _first_asked(asked, devices)
    left = _left(columns, given_up)
    enrolled = _enrolled(first, versions, end, left) if in_rounds else _until_replies(asked, columns, left, devices, end)
    away = _nonempty(absences.device, absences.start, absences.end)
    device, start, finish, kind = _swept(devices, end, enrolled, _busy(columns, work), away)
    number = _rounds(device, finish, columns, work, first)
    return Waits(device.astype(np.int32), number.astype(np.int32), kind, start, finish)


def _among(device: NDArray[np.int32], devices: Integers) -> NDArray[np.bool_]:
    places = np.searchsorted(devices, device)
    places[places == len(devices)] = 0
    return np.asarray(devices[places] == device) if len(devices) else np.zeros(len(device), bool)


@dataclass(frozen=True)
class _Moments:
    """When something happened to a device in a round, by device and round."""

    device: Integers
    round: Integers
    time: Floats


def _first_asked(asked: _Messages, devices: Integers) -> _Moments:
    """When a device was first asked for a round."""
    device, number, time = asked
    order = np.lexsort((number, device))
    order = order[_among(device[order], devices)]
    device, number = device[order], number[order]
    new = np.ones(len(order), bool)
    new[1:] = (device[1:] != device[:-1]) | (number[1:] != number[:-1])
    return _Moments(device[new].astype(np.int64), number[new].astype(np.int64), time[order[new]])


def _left(columns: Columns, given_up: _Messages) -> _Moments:
    """When a device dropped out of a round, or left and gave up a message of it, by device and round."""
    rows = np.flatnonzero(columns.outcome == DROPPED)
    device = np.concatenate([columns.device[rows], given_up[0]]).astype(np.int64)
    number = np.concatenate([columns.round[rows], given_up[1]]).astype(np.int64)
    time = np.concatenate([columns.arrival[rows], given_up[2]])
    order = np.lexsort((time, number, device))
    return _Moments(device[order], number[order], time[order])


def _enrolled(first: _Moments, versions: Mapping[int, float], end: float, left: _Moments) -> _Spans:
    rounds = np.array(sorted(versions), dtype=np.int64)
    times = np.array([versions[number] for number in rounds.tolist()] + [end], dtype=np.float64)
    places = np.searchsorted(rounds, first.round)
    known = places < len(rounds)
    known[known] = rounds[places[known]] == first.round[known]
    until = np.minimum(times[np.where(known, places, len(rounds))], end)
    return _nonempty(first.device, first.time, np.minimum(until, _times_of(left, first, end)))


def _until_replies(asked: _Messages, columns: Columns, left: _Moments, devices: Integers, end: float) -> _Spans:
    """From every message to a device until its next reply has come, it has dropped out or left, or the end (s)."""
    device, _, time = asked
    known = _among(device, devices)
    over = np.flatnonzero((columns.kind == UPLOAD) & ~np.isnan(columns.arrival))
    who = np.concatenate((device[known], columns.device[over], left.device)).astype(np.int64)
    when = np.concatenate((time[known], columns.arrival[over], left.time))
    asks = np.arange(len(who)) < int(known.sum())
    # a reply ends what came before it, and not what the server sends at that instant
    order = np.lexsort((asks, when, who))
    who, when, asks = who[order], when[order], asks[order]
    places = np.where(asks, len(order), np.arange(len(order)))
    ending = np.minimum.accumulate(places[::-1])[::-1][asks]
    found = np.minimum(ending, max(len(order) - 1, 0))
    ended = (ending < len(order)) & (who[found] == who[asks])
    return _nonempty(who[asks], when[asks], np.minimum(np.where(ended, when[found], end), end))


def _times_of(left: _Moments, first: _Moments, end: float) -> Floats:
    """When each device left each round that it was asked for; `end` (s) where it did not."""
    result = np.full(len(first.device), end)
    if len(left.device):
        width = int(max(first.round.max(initial=0), left.round.max())) + 1
        keys, wanted = left.device * width + left.round, first.device * width + first.round
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        found = keys[places] == wanted
        result[found] = left.time[places[found]]
    return result


def _busy(columns: Columns, work: Integers) -> _Spans:
    return _nonempty(columns.device[work].astype(np.int64), columns.start[work], columns.end[work])


def _nonempty(device: Integers, start: Floats, end: Floats) -> _Spans:
    kept = end > start
    return _Spans(device[kept], start[kept], end[kept])


def _swept(
    devices: Integers, end: float, enrolled: _Spans, busy: _Spans, away: _Spans
) -> tuple[Integers, Floats, Floats, NDArray[np.int8]]:
    """Device, start, end and kind of every wait."""
    run = _nonempty(devices, np.zeros(len(devices)), np.full(len(devices), end))
    spans = (run, enrolled, busy, away)
    device = np.concatenate([part for span in spans for part in (span.device, span.device)])
    time = np.concatenate([part for span in spans for part in (span.start, span.end)])
    order = np.lexsort((time, device))
    device, time = device[order], time[order]
    inside, taking_part, working, absent = (_counter(spans, place, order) > 0 for place in range(len(spans)))
    kind = np.where(working | ~(inside | taking_part), 0, np.where(absent, OFFLINE, np.where(taking_part, STALL, IDLE))).astype(np.int8)
    # the last point of a device has nothing behind it, and neighbours of the same kind are one wait
    lasts = np.flatnonzero(np.append(time[1:] > time[:-1], False))
    device, kind, start, finish = device[lasts], kind[lasts], time[lasts], time[lasts + 1]
    joins = np.zeros(len(lasts), bool)
    joins[1:] = (device[1:] == device[:-1]) & (kind[1:] == kind[:-1]) & (start[1:] == finish[:-1])
    firsts = np.flatnonzero(~joins)
    ends = finish[np.append(firsts[1:], len(lasts)) - 1] if len(lasts) else finish
    waits = kind[firsts] != 0
    return device[firsts][waits], start[firsts][waits], ends[waits], kind[firsts][waits]


def _counter(spans: tuple[_Spans, ...], place: int, order: Integers) -> NDArray[np.int32]:
    """How many spans of one sort are under way behind each of the ordered points."""
    moves = [np.full(len(span.device), sign if here == place else 0, np.int8) for here, span in enumerate(spans) for sign in (1, -1)]
    return np.cumsum(np.concatenate(moves)[order], dtype=np.int32)


def _rounds(device: Integers, finish: Floats, columns: Columns, work: Integers, first: _Moments) -> Integers:
    """The round of the device's first work that starts when the wait is over or later, else of its last, else the first asked for."""
    by_device = work[np.argsort(columns.device[work], kind="stable")]
    owner = columns.device[by_device]
    begins, ends = np.searchsorted(owner, device, "left"), np.searchsorted(owner, device, "right")
    everything = np.lexsort(
        (
            np.repeat(np.array([1, 0], np.int8), (len(by_device), len(device))),
            np.concatenate([columns.start[by_device], finish]),
            np.concatenate([owner, device]),
        )
    )
    is_work = everything < len(by_device)
    before = np.empty(len(device), np.int64)
    before[everything[~is_work] - len(by_device)] = np.cumsum(is_work)[~is_work]
    worked = ends > begins
    asked_first = np.append(first.round, 0)[np.searchsorted(first.device, device)] if len(first.device) else np.zeros(len(device), np.int64)
    asks = np.isin(device, first.device)
    result = np.where(asks, asked_first, 0)
    result[worked] = columns.round[by_device[np.minimum(before, ends - 1)[worked]]]
    return np.asarray(result, dtype=np.int64)
