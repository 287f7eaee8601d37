"""What a round waits for: the device whose reply the server had last, and what kept that device.

The critical device of a round is the one whose reply ended the server's wait: which came when the version was made. The span from the
version before to the round's own version is divided among causes by what that device did in it, in this order of precedence where
things overlap:

    compute    its processor works               start_up   it starts what will work
    out_of_memory   its processor waits for storage, because what a step needs does not fit its memory (it pages)
    upload     its uplink is occupied            download   its downlink is occupied
    offline    it is not there, or the server waits until enough devices are
    latency    a message of its own is between the ends of the link, or was lost and will be sent again
    polling    a message waits until the device looks for one
    stall      none of these: it waits for the server, which waits for other devices

A device that computes while messages travel is thus bound by its processor: they cost nothing. Where no reply ended the wait but
the strategy's timeout did, the whole span is `timeout`. What led to the last version of all is the critical path
(simulation/critical_path.py).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.fleet.fleet import Traits
from fedtiny.simulation.absences import Absences, AwayUntil, nobody_away
from fedtiny.simulation.critical_path import CAUSES, Cause
from fedtiny.simulation.intervals import merged
from fedtiny.simulation.trace import (
    ABORTED,
    DONE,
    DOWNLOAD,
    DROPPED,
    INTERRUPTED,
    LATE,
    LOST,
    PAGING,
    REPEATED,
    START_UP,
    UPLOAD,
    WORK,
    Columns,
    Trace,
)

__all__ = ["CAUSES", "Cause", "round_causes", "shared_out"]

Span = tuple[float, float]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

_RARE: Final = ("offline", "out_of_memory")
"""Causes that are named where they take time; all others always are."""


def round_causes(
    trace: Trace, times: Sequence[float] | Floats, traits: Callable[[int], Traits], away: AwayUntil = nobody_away
) -> list[tuple[int | None, dict[Cause, float]]]:
    """For every round its critical device (None: a timeout) and seconds by cause, which sum to the round's span.

    `times` are those of the versions (s, ascending, the first at 0), `traits(number)` is a device, `away` says when devices were not there.
    """
    columns = trace.columns()
    critical = _last_devices(columns, np.asarray(times, dtype=np.float64)[1:])
    known = sorted({number for number in critical if number is not None})
    rows, asked = _by_device(columns.device, known), _by_device(trace.asked.arrays()[0], known)
    absences, gathered = away(np.asarray(known, dtype=np.int64), float(times[-1])), trace.gathered.arrays()
    logs = {
        number: _log(trace, rows[number], asked[number], traits(number), _missing(absences.of(np.array([number])), gathered))
        for number in known
    }
    result: list[tuple[int | None, dict[Cause, float]]] = []
    for start, end, device in zip(times, times[1:], critical, strict=False):
        span = (float(start), float(end))
        result.append((None, {"timeout": span[1] - span[0]}) if device is None else (device, logs[device].shared_out(span)))
    return result


def _last_devices(columns: Columns, times: Floats) -> list[int | None]:
    """The device whose reply came, in time, when each version was made; the last of several."""
    rows = np.flatnonzero((columns.kind == UPLOAD) & (columns.outcome == DONE))
    rows = rows[np.argsort(columns.arrival[rows], kind="stable")]
    arrivals = columns.arrival[rows]
    places = np.searchsorted(arrivals, times, "right") - 1
    return [
        int(columns.device[rows[place]]) if place >= 0 and arrivals[place] == time else None
        for place, time in zip(places.tolist(), times.tolist(), strict=True)
    ]


def _by_device(owners: NDArray[np.int32], devices: Sequence[int]) -> dict[int, Integers]:
    """The rows of each of these devices (ascending), found in one pass over all."""
    wanted = np.asarray(devices, dtype=np.int64)
    rows = np.flatnonzero(np.isin(owners, wanted))
    ordered = rows[np.argsort(owners[rows], kind="stable")]
    cuts = np.searchsorted(owners[ordered], wanted)
    return dict(zip(devices, np.split(ordered, cuts[1:]) if len(devices) else [], strict=True))


@dataclass(frozen=True)
class _Log:
    """What one device did, in the order in which it began, and when messages waited for it to look."""

    columns: Columns
    rows: Integers
    until: Floats
    """When each was over, or its message there (s)."""
    over: Floats
    """When it and all before it were."""
    polling: list[Span]
    missing: list[Span]
    """When it was not there, or too few were; ascending, and they do not overlap."""

    def shared_out(self, span: Span) -> dict[Cause, float]:
        """Seconds of a span by cause."""
        first = int(np.searchsorted(self.over, span[0], "right"))
        last = int(np.searchsorted(self.columns.start[self.rows], span[1]))
        inside = slice(first, max(first, last))
        missing = self.missing[bisect_right(self.missing, span[0], key=_end) : bisect_left(self.missing, span[1], key=_start)]
        return shared_out(self.columns, self.rows[inside], self.until[inside], span, self.polling, missing)


def _missing(absences: Absences, gathered: tuple[Floats, Floats]) -> list[Span]:
    return merged([*absences.spans(), *zip(gathered[0].tolist(), gathered[1].tolist(), strict=True)])


def _log(trace: Trace, rows: Integers, asked: Integers, traits: Traits, missing: list[Span]) -> _Log:
    columns = trace.columns()
    until = _until(columns, rows, 2 * traits.network.latency)
    polling = _polling(columns, rows, trace.asked.arrays()[2][asked]) if traits.device.polling_interval else []
    return _Log(columns, rows, until, np.maximum.accumulate(until), polling, missing)


def _until(columns: Columns, rows: Integers, round_trip: float) -> Floats:
    """When each row was over or its message there; what is lost is sent again a round trip (s) later."""
    missing = np.isnan(columns.arrival[rows])
    sent = np.where(missing, columns.end[rows] + round_trip, columns.arrival[rows])
    transfer = np.isin(columns.kind[rows], (DOWNLOAD, UPLOAD))
    return np.asarray(np.where(transfer, sent, columns.end[rows]), dtype=np.float64)


def _polling(columns: Columns, rows: Integers, asked: Floats) -> list[Span]:
    """When messages were there and the device, which does one at a time, had nothing else to do."""
    kinds, outcomes = columns.kind[rows], columns.outcome[rows]
    downloads = rows[(kinds == DOWNLOAD) & ~np.isin(outcomes, (LOST, INTERRUPTED, REPEATED))]
    ends = columns.arrival[rows[(kinds == UPLOAD) | np.isin(outcomes, (DROPPED, LATE, ABORTED))]]
    ends = np.concatenate([np.zeros(1), np.sort(ends[~np.isnan(ends)])])
    starts = columns.start[downloads]
    since = np.maximum(asked[: len(starts)], ends[np.searchsorted(ends, starts, "right") - 1])
    return [(since_, start) for since_, start in zip(since.tolist(), starts.tolist(), strict=True) if start > since_]


def shared_out(
    columns: Columns, rows: Integers, until: Floats, span: Span, polling: Iterable[Span] = (), missing: Sequence[Span] = ()
) -> dict[Cause, float]:
    """Seconds of a span by cause, from one device's rows, each of which was over, or its message there, at `until` (s)."""
    inside = (columns.start[rows] < span[1]) & (until > span[0])
    rows, until = rows[inside], until[inside]
    kinds = columns.kind[rows]
    working = np.isin(kinds, WORK)
    left, seconds = [span], {}
    for cause, chosen in (
        ("compute", working & (kinds != START_UP) & (kinds != PAGING)),
        ("start_up", kinds == START_UP),
        ("out_of_memory", kinds == PAGING),
        ("upload", kinds == UPLOAD),
        ("download", kinds == DOWNLOAD),
    ):
        after = _uncovered(left, zip(columns.start[rows[chosen]].tolist(), columns.end[rows[chosen]].tolist(), strict=True))
        seconds[cause] = _length(left) - _length(after)
        left = after
    for cause, spans in (
        ("offline", missing),
        ("latency", zip(columns.end[rows[~working]].tolist(), until[~working].tolist(), strict=True)),
        ("polling", (part for part in polling if part[0] < span[1] and part[1] > span[0])),
    ):
        after = _uncovered(left, spans)
        seconds[cause] = _length(left) - _length(after)
        left = after
    seconds = {cause: taken for cause, taken in seconds.items() if taken or cause not in _RARE}
    return {**seconds, "stall": _length(left)}  # type: ignore[dict-item]


def _uncovered(spans: list[Span], taken: Iterable[Span]) -> list[Span]:
    """What of these spans is not taken."""
    for start, end in taken:
        cut = [part for first, last in spans for part in ((first, min(last, start)), (max(first, end), last))]
        spans = [(first, last) for first, last in cut if last > first]
    return spans


def _length(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def _start(span: Span) -> float:
    return span[0]


def _end(span: Span) -> float:
    return span[1]
