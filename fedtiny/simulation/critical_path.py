"""The critical path of a run: the one chain of activities that led to the last version of the model.

It is found backwards. A version exists because a reply came; the reply came because it had travelled, over an uplink that had been
free or had just finished with another one; it left because the work was done; the work began because the processor had finished with
the work before, or because the message had come; and the message was sent because an earlier reply came, or because the run began.
Every link of the chain begins when the one before it ends, so the seconds of all of them sum to the time of the last version.

    compute    the processor works               start_up   it starts what will work
    upload     the uplink is occupied            download   the downlink is occupied
    out_of_memory   the processor waits for storage, because what a step needs does not fit the memory (a device that pages)
    latency    a message is between the ends of a link, or was lost and will be sent again
    polling    a message waits until its device looks for one
    offline    its device is not there, or the server waits until enough devices are
    timeout    no reply, but the end of the server's patience made the version
    stall      none of these

Making anything on the path faster makes the run faster, until another chain is longer; nothing else does. A wait is not on it: what
the waiting device waited for is.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.absences import AwayUntil, nobody_away
from fedtiny.simulation.path_links import CAUSE_OF_WORK, CAUSES, CODES, SERVER, Cause, Link, merged_links, without_absences
from fedtiny.simulation.trace import (
    ABORTED,
    DONE,
    DOWNLOAD,
    DROPPED,
    INTERRUPTED,
    LATE,
    LOST,
    REPEATED,
    UPLOAD,
    WORK,
    Columns,
    Trace,
)

__all__ = ["CAUSES", "SERVER", "Cause", "Path", "critical_path"]

_SENT_AGAIN: Final = (LOST, INTERRUPTED, REPEATED)
"""Transfers that are not the last of their message."""

_LOGS_KEPT: Final = 256
"""A chain that comes through more devices makes the logs of some again."""

_ROUNDS_BACK: Final = 100
"""A lost message is sent again while messages of no more rounds than these are on their way."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Rows = NDArray[np.int32] | NDArray[np.int64]


@dataclass(frozen=True)
class Path:
    """The links of a chain in the order of time, each array (links,): whose (-1: the server's), of which round, why, from when to when (s).

    `cause` is a place in CAUSES; the round of a link of the server's is 0.
    """

    device: Integers
    round: Integers
    cause: NDArray[np.int8]
    start: Floats
    end: Floats

    def seconds(self) -> dict[Cause, float]:
        """Seconds by cause, of the causes that there are."""
        sums = np.bincount(self.cause, weights=self.end - self.start, minlength=len(CAUSES)).tolist()
        return {cause: total for cause, total in zip(CAUSES, sums, strict=True) if total > 0}


def critical_path(trace: Trace, times: Floats, away: AwayUntil = nobody_away) -> Path:
    """The chain that led to the last of the versions, which were made at these times (s, ascending, the first at 0); `away` says when
    devices were not there."""
    walk = _Walk(trace, np.asarray(times, dtype=np.float64))
    walk.back_from(float(times[-1]))
    links = without_absences([link for link in reversed(walk.links) if link[4] > link[3]], away, float(times[-1]))
    columns = list(zip(*merged_links(links), strict=True)) or [()] * 5
    return Path(
        np.array(columns[0], dtype=np.int64),
        np.array(columns[1], dtype=np.int64),
        np.array(columns[2], dtype=np.int8),
        np.array(columns[3], dtype=np.float64),
        np.array(columns[4], dtype=np.float64),
    )


@dataclass(frozen=True)
class _Rows:
    """Rows of one sort of one device, ascending in `time`."""

    row: Rows
    time: Floats

    def last(self, time: float, before: int) -> int:
        """The row with the latest time up to this one, of those that began before row `before`; -1 if there is none."""
        place = int(np.searchsorted(self.time, time, "right")) - 1
        while place >= 0 and self.row[place] >= before:
            place -= 1
        return -1 if place < 0 else int(self.row[place])


class _Log:
    """What one device did, sorted by what the walk asks for."""

    def __init__(self, columns: Columns, rows: Rows, asked: Floats) -> None:
        kinds = columns.kind[rows]
        self.asked = asked
        self.work = rows[np.isin(kinds, WORK)]
        self.uploads, self.downloads = rows[kinds == UPLOAD], rows[kinds == DOWNLOAD]
        self.work_done = _by_time(self.work, columns.end)
        self.replied = _by_time(self.uploads, columns.arrival)
        self.received = _by_time(self.downloads, columns.arrival)
        self.left = _by_time(self.downloads[np.isin(columns.outcome[self.downloads], (DROPPED, LATE, ABORTED))], columns.arrival)
        """What was received and not worked on."""
        self.kept = self.downloads[~np.isin(columns.outcome[self.downloads], _SENT_AGAIN)]


def _by_time(rows: Rows, times: Floats) -> _Rows:
    known = rows[~np.isnan(times[rows])]
    order = known[np.argsort(times[known], kind="stable")]
    return _Rows(order, times[order])


def _before(rows: Rows, row: int) -> int:
    """The last of these rows before one; -1 if there is none."""
    place = int(np.searchsorted(rows, row)) - 1
    return -1 if place < 0 else int(rows[place])


class _Walk:
    """One way back through a trace; `row` always goes down, so it ends."""

    def __init__(self, trace: Trace, times: Floats) -> None:
        columns = self.columns = trace.columns()
        self.times = times
        self.links: list[Link] = []
        uploads = np.flatnonzero(columns.kind == UPLOAD).astype(np.int32)
        done = columns.outcome[uploads] == DONE
        self.replies, self.late = _by_time(uploads[done], columns.arrival), _by_time(uploads[~done], columns.arrival)
        self._by_device = np.argsort(columns.device, kind="stable").astype(np.int32)
        self._devices = columns.device[self._by_device]
        device, _, time = trace.asked.arrays()
        order = np.argsort(device, kind="stable")
        self._asked_device, self._asked_time = device[order], time[order]
        self._logs: dict[int, _Log] = {}
        self._gatherings = trace.gathered.arrays()

    def back_from(self, time: float) -> None:
        """Adds the links of the chain to this moment, the last first."""
        row, at_server = len(self.columns.device), True
        while True:
            if at_server:
                if time <= 0.0:
                    return
                time, row = self._server(time, row)
                at_server = row < 0
                row = len(self.columns.device) if at_server else row
            else:
                time, row, at_server = self._message(row)

    def _server(self, time: float, before: int) -> tuple[float, int]:
        """What the server reacted to at this moment: the row of a reply, or -1 and the moment before which it lost its patience."""
        version = int(np.searchsorted(self.times, time))
        makes_one = version < len(self.times) and self.times[version] == time
        # a late reply ends no wait for a version, but may be what a device is asked again for
        for replies in (self.replies,) if makes_one else (self.replies, self.late):
            row = replies.last(time, before)
            if row >= 0 and self.columns.arrival[row] == time:
                return time, row
        earlier, cause = self._gathered(time)
        if math.isnan(earlier):
            earlier = float(self.times[max(0, version - 1)])
        self.links.append((SERVER, 0, CODES[cause], earlier, time))
        return earlier, -1

    def _gathered(self, time: float) -> tuple[float, Cause]:
        """Since when the server had waited for devices, where it went on at this moment because they were there; else nan."""
        starts, ends = self._gatherings
        place = int(np.searchsorted(ends, time))
        if place < len(ends) and ends[place] == time:
            return float(starts[place]), "offline"
        return math.nan, "timeout"

    def _message(self, reply: int) -> tuple[float, int, bool]:
        """From a reply back to why its device was sent what it answers: (moment, row, whether the server is next)."""
        row = reply
        self._link(row, "latency", self.columns.end[row], self.columns.arrival[row])
        while True:
            kind = self.columns.kind[row]
            if kind == DOWNLOAD:
                self._travel(row, "download")
                return self._downlink(row)
            if kind == UPLOAD:
                self._occupancy(row, "upload")
                row = self._uplink(row)
            else:
                self._link(row, CAUSE_OF_WORK[int(kind)], self.columns.start[row], self.columns.end[row])
                row = self._processor(row)

    def _uplink(self, row: int) -> int:
        """What ended when this transfer began: work, another transfer, or, where there was no work, the arrival of the message."""
        columns, log = self.columns, self._log(row)
        time, before = columns.start[row], self._transfer_before(log.uploads, row)
        work = log.work_done.last(time, row)
        if work >= 0 and columns.end[work] == time:
            return work
        if before >= 0:
            self._link(row, "latency", columns.end[before], time)
            return before
        message = log.received.last(time, row)
        return self._later(row, ((work, columns.end), (message, columns.arrival)))

    def _transfer_before(self, transfers: Rows, row: int) -> int:
        """The transfer that had to end before this one, of these of one link: the one that took the link, or this message's own, lost."""
        columns, before = self.columns, _before(transfers, row)
        if before >= 0 and columns.end[before] == columns.start[row]:
            return before
        while before >= 0 and columns.round[before] >= columns.round[row] - _ROUNDS_BACK:
            if columns.outcome[before] in _SENT_AGAIN and columns.round[before] == columns.round[row]:
                return before
            before = _before(transfers, before)
        return -1

    def _processor(self, row: int) -> int:
        """What ended when this work began: other work, or the way of the message."""
        columns, log = self.columns, self._log(row)
        before, message = _before(log.work, row), log.received.last(columns.start[row], row)
        if before >= 0 and columns.end[before] == columns.start[row]:
            return before
        return self._later(row, ((before, columns.end), (message, columns.arrival)))

    def _later(self, row: int, candidates: tuple[tuple[int, Floats], ...]) -> int:
        time, found = max((float(times[place]), place) for place, times in candidates if place >= 0)
        self._link(row, "stall", time, self.columns.start[row])
        return found

    def _downlink(self, row: int) -> tuple[float, int, bool]:
        """Why a message was sent when it was: the server pushed it, the link had been taken, or its device looked for it."""
        columns, log = self.columns, self._log(row)
        while not self._pushed(log, float(columns.start[row])):
            time, before = float(columns.start[row]), self._transfer_before(log.downloads, row)
            if before < 0:
                return self._noticed(row, log, time)
            self._link(row, "latency", columns.end[before], time)
            self._occupancy(before, "download")
            row = before
        return float(columns.start[row]), row, True

    def _noticed(self, row: int, log: _Log, time: float) -> tuple[float, int, bool]:
        """Why a device that does one message at a time turned to one at this moment: it was there, and the one before was done."""
        columns, pushed = self.columns, float(log.asked[int(np.searchsorted(log.kept, row))])
        reply, left = log.replied.last(time, row), log.left.last(time, row)
        free, last = max((float(columns.arrival[place]), place) if place >= 0 else (0.0, -1) for place in (reply, left))
        self._link(row, "polling", max(pushed, free), time)
        if pushed >= free or last < 0:
            return pushed, row, True
        if last == reply:
            return free, last, False
        self._travel(last, "download")
        return self._downlink(last)

    def _pushed(self, log: _Log, time: float) -> bool:
        place = int(np.searchsorted(log.asked, time))
        return place < len(log.asked) and bool(log.asked[place] == time)

    def _travel(self, row: int, cause: Cause) -> None:
        self._link(row, "latency", self.columns.end[row], self.columns.arrival[row])
        self._occupancy(row, cause)

    def _occupancy(self, row: int, cause: Cause) -> None:
        self._link(row, cause, self.columns.start[row], self.columns.end[row])

    def _link(self, row: int, cause: Cause, start: float, end: float) -> None:
        self.links.append((int(self.columns.device[row]), int(self.columns.round[row]), CODES[cause], float(start), float(end)))

    def _log(self, row: int) -> _Log:
        device = int(self.columns.device[row])
        log = self._logs.get(device)
        if log is None:
            if len(self._logs) == _LOGS_KEPT:
                self._logs.clear()
            first, last = np.searchsorted(self._devices, [device, device + 1])
            begin, end = np.searchsorted(self._asked_device, [device, device + 1])
            log = self._logs[device] = _Log(self.columns, self._by_device[first:last], self._asked_time[begin:end])
        return log
