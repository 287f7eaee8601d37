"""Stalls that stragglers cause, those that replies cause which never come, and those that communication causes.

A processor that waits while others compute would wait without any latency too. With C_i(r) the seconds that device i worked for round
r, it would then wait, in a round that all begin together and that ends with the slowest of them,

    M(r) - C_i(r),    M(r) = the largest C_j(r) of those whose reply the round's version contains
                             (at most the timeout, where somebody missed it)

So of the stall time of a device, what stragglers cause is the sum of this over its rounds, and never more than it stalled. Of the rest,
what falls between the last reply of a round and the timeout that ended it is waiting for nobody: `missing`; and what falls into a time in
which the device whose reply ended the round was not there is waiting for it to come back: `offline`. What is left is communication's:
transfers, latency, losses, polling. For FedAvg the split is exact, round by round: with equal links it is what the same run would wait
over links that take no time. For DGA it is exact but for the D steps by which a fast device may first run ahead. Strategies that do not
work in rounds let nobody wait for anybody: all of their stalls are communication's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.trace import DONE, UPLOAD, WORK, Columns, Trace
from fedtiny.simulation.used_work import Contributions, among

_ROWS_AT_ONCE: Final = 1 << 14

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Stalls:
    """Spans in which processors stalled, each array (stalls,)."""

    device: Integers | NDArray[np.int32]
    start: Floats
    end: Floats

    def by_device(self, devices: Integers, seconds: Callable[[Floats, Floats], Floats]) -> Floats:
        """Seconds, as found from starts and ends, added up for each of the devices (ascending), (devices,)."""
        result = np.zeros(len(devices))
        for first in range(0, len(self.device), _ROWS_AT_ONCE):
            some = slice(first, first + _ROWS_AT_ONCE)
            np.add.at(result, np.searchsorted(devices, self.device[some]), seconds(self.start[some], self.end[some]))
        return result


@dataclass(frozen=True)
class StallSeconds:
    """Seconds of stalls of each device by cause, each array (devices,)."""

    stragglers: Floats
    missing: Floats
    offline: Floats
    communication: Floats


def stall_seconds(
    trace: Trace,
    used: Contributions,
    times: Floats,
    devices: Integers,
    stalls: Stalls,
    timeout: float | None = None,
    away: tuple[Floats, Floats] | None = None,
) -> StallSeconds:
    """The stalls of these devices (ascending) by cause; versions were made at `times` (s), `timeout` is how long the server waits (s), and
    `away` are the spans of time, from when and until when (s, ascending), in which the device that a round waited for was not there."""
    stalled = stalls.by_device(devices, lambda start, end: end - start)
    stragglers = straggler_seconds(trace, used, len(times) - 1, devices, stalled, timeout)
    vain = _vain(trace.columns(), times)
    missing = np.minimum(stalls.by_device(devices, lambda start, end: vain(end) - vain(start)), stalled - stragglers)
    rest = stalled - stragglers - missing
    absent = np.zeros(len(devices))
    if trace.in_rounds and away is not None and len(away[0]):
        gone = _passed(*away)
        absent = np.minimum(stalls.by_device(devices, lambda start, end: gone(end) - gone(start)), rest)
    return StallSeconds(stragglers, missing, absent, rest - absent)


def _passed(starts: Floats, ends: Floats) -> Callable[[Floats], Floats]:
    """How many seconds of these spans, which do not overlap, had passed up to each moment (s)."""
    moments = np.concatenate([np.zeros(1), np.stack([starts, ends], axis=1).ravel()])
    lengths = np.cumsum(ends - starts)
    totals = np.concatenate([np.zeros(1), np.stack([lengths - (ends - starts), lengths], axis=1).ravel()])
    return lambda time: np.interp(time, moments, totals)


def _vain(columns: Columns, times: Floats) -> Callable[[Floats], Floats]:
    """How many seconds up to each moment the server had waited for replies that did not come before its timeout."""
    rows = (columns.kind == UPLOAD) & (columns.outcome == DONE)
    arrivals = np.concatenate([np.zeros(1), np.sort(columns.arrival[rows])])
    last = arrivals[np.searchsorted(arrivals, times[1:], "right") - 1]
    since = np.maximum(last, times[:-1])
    ends = np.concatenate([np.zeros(1), times[1:]])
    moments = np.stack([np.concatenate([np.zeros(1), since]), ends], axis=1).ravel()
    waited = np.cumsum(np.concatenate([np.zeros(1), times[1:] - since]))
    before = np.concatenate([np.zeros(1), waited[:-1]])
    totals = np.stack([before, waited], axis=1).ravel()
    return lambda time: np.interp(time, moments, totals)


def straggler_seconds(
    trace: Trace, used: Contributions, versions: int, devices: Integers, stalled: Floats, timeout: float | None = None
) -> Floats:
    """Seconds that each of these devices (ascending) waited for slower ones, (devices,); `stalled` is how long it waited in all.

    Versions 1 ... `versions` were made; `timeout` is how long the server waits for a round (s).
    """
    if not trace.in_rounds or not versions:
        return np.zeros(len(devices))
    columns = trace.columns()
    rows = _work_of_versions(columns, versions)
    keys, place = np.unique(columns.device[rows].astype(np.int64) * (versions + 1) + columns.round[rows], return_inverse=True)
    worked = np.bincount(place, weights=columns.end[rows] - columns.start[rows], minlength=len(keys)).astype(np.float64)
    device, number = keys // (versions + 1), keys % (versions + 1)
    excess = np.maximum(_slowest(keys, number, worked, used, versions, timeout)[number] - worked, 0.0)
    found = np.minimum(np.searchsorted(devices, device), max(len(devices) - 1, 0))
    listed = devices[found] == device if len(devices) else np.zeros(len(device), bool)
    total = np.bincount(found[listed], weights=excess[listed], minlength=len(devices))
    return np.asarray(np.minimum(total, stalled), dtype=np.float64)


def _work_of_versions(columns: Columns, versions: int) -> NDArray[np.int32]:
    """Rows of work for the rounds of versions 1 ... `versions`."""
    found = [np.zeros(0, np.int32)]
    for first in range(0, len(columns.kind), _ROWS_AT_ONCE):
        some = slice(first, first + _ROWS_AT_ONCE)
        number = columns.round[some]
        work = np.isin(columns.kind[some], WORK) & (number >= 1) & (number <= versions)
        found.append((first + np.flatnonzero(work)).astype(np.int32))
    return np.concatenate(found)


def _slowest(keys: Integers, number: Integers, worked: Floats, used: Contributions, versions: int, timeout: float | None) -> Floats:
    """M(r) by round, (versions + 1,)."""
    own = used.version == used.round
    known = used.device[own] * (versions + 1) + used.round[own]
    known.sort()
    in_time = among(keys, known)
    result = np.zeros(versions + 1)
    np.maximum.at(result, number[in_time], worked[in_time])
    if timeout is not None:
        np.maximum.at(result, number[~in_time], np.minimum(worked[~in_time], timeout))
    return result
