"""Which work is in a version of the model, how stale it was, and what was done for nothing.

In rounds, a reply with arrays that comes before its round's version is in that version; a later one is in the next version that is
made, where the strategy carries late replies, and in none otherwise. Strategies that do not work in rounds have said it
(`Trace.contributions`). The **staleness** of a contribution is the number of versions that were made between the one that its device
started from and the one that it is in: 0 in FedAvg, and one for every round in flight in DGA.

Compute and bytes are **wasted** where no version contains what they were for:

    lost        transmissions that did not arrive          dropped      the device dropped out of the round
    late        the reply came too late to be used         unfinished   the run ended before it could be
    interrupted the device left: the message was given up, or a transfer began again
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.trace import ABORTED, DOWNLOAD, DROPPED, LATE, LOST, REPEATED, UPLOAD, WORK, Columns, Trace

Reason = Literal["lost", "dropped", "late", "unfinished", "interrupted"]
REASONS: Final[tuple[Reason, ...]] = ("lost", "dropped", "late", "unfinished", "interrupted")
_LOST, _DROPPED, _LATE, _UNFINISHED, _INTERRUPTED = range(len(REASONS))

_ROWS_AT_ONCE: Final = 1 << 14

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Contributions:
    """Replies that are in a version, each array (replies,)."""

    device: Integers
    round: Integers
    version: Integers
    staleness: Integers


@dataclass(frozen=True)
class Waste:
    """What was done for nothing: seconds of processors and bytes of both directions by reason; and what was done in all."""

    compute: dict[Reason, float]
    bytes: dict[Reason, int]
    all_compute: float
    all_bytes: int


def contributions(trace: Trace, times: Floats, *, carries_late: bool) -> Contributions:
    """Every reply that is in one of the versions, which were made at these times (s, ascending, the first at 0)."""
    if not trace.in_rounds:
        device, number, version = (part.astype(np.int64) for part in trace.contributions.arrays())
        return Contributions(device, number, version, version - number)
    columns = trace.columns()
    rows = np.flatnonzero((columns.kind == UPLOAD) & (columns.payload_bytes > 0) & ~np.isnan(columns.arrival))
    late = columns.outcome[rows] == LATE
    rows, late = (rows, late) if carries_late else (rows[~late], late[~late])
    number = columns.round[rows].astype(np.int64)
    next_version = np.maximum(np.searchsorted(times, columns.arrival[rows]), number + 1)
    version = np.where(late, next_version, number)
    made = version < len(times)
    device, number, version = columns.device[rows][made].astype(np.int64), number[made], version[made]
    return Contributions(device, number, version, version - 1 - _started_from(trace, times, device, number))


def _started_from(trace: Trace, times: Floats, device: Integers, number: Integers) -> Integers:
    """The version that existed when each of these devices was first asked for each of these rounds."""
    asked_device, asked_round, asked_time = trace.asked.arrays()
    width = int(max(asked_round.max(initial=0), number.max(initial=0))) + 1
    # of equal keys, unique gives the first, and messages are noted in the order of pushing
    keys, first = np.unique(asked_device.astype(np.int64) * width + asked_round, return_index=True)
    places = np.searchsorted(keys, device * width + number)
    existed = np.searchsorted(times, asked_time[first[places]], "right") - 1
    return np.asarray(np.minimum(existed, number - 1), dtype=np.int64)


def waste(trace: Trace, used: Contributions, versions: int) -> Waste:
    """What no version contains, where versions 1 ... `versions` were made."""
    columns = trace.columns()
    width = int(max(columns.round.max(initial=0), used.round.max(initial=0), trace.left.arrays()[1].max(initial=0))) + 1
    in_version = np.unique(used.device * width + used.round)
    late, dropped = (np.unique(_keys(columns, np.flatnonzero(columns.outcome == outcome), width)) for outcome in (LATE, DROPPED))
    gone, number, _ = trace.left.arrays()
    given_up = np.unique(gone.astype(np.int64) * width + number)
    seconds, sizes = np.zeros(len(columns.device)), 0
    compute, moved, anything = np.zeros(len(REASONS)), np.zeros(len(REASONS)), False
    for first in range(0, len(seconds), _ROWS_AT_ONCE):
        rows = np.arange(first, min(first + _ROWS_AT_ONCE, len(seconds)))
        key, reason = _keys(columns, rows, width), np.full(len(rows), -1, np.int8)
        unused = ~among(key, in_version)
        reason[unused] = _UNFINISHED
        reason[unused & (among(key, late) | (trace.in_rounds & (columns.round[rows] <= versions)))] = _LATE
        reason[unused & among(key, dropped)] = _DROPPED
        reason[unused & among(key, given_up)] = _INTERRUPTED
        reason[np.isin(columns.outcome[rows], (REPEATED, ABORTED))] = _INTERRUPTED
        reason[columns.outcome[rows] == LOST] = _LOST
        worked, size = _effort(columns, rows)
        seconds[rows], sizes, wasted = worked, sizes + int(size.sum()), reason >= 0
        anything |= bool(wasted.any())
        # one by one and not in parts, so that sums do not depend on how many rows are looked at together
        np.add.at(compute, reason[wasted], worked[wasted])
        np.add.at(moved, reason[wasted], size[wasted])
    return Waste(
        # whole zeros where nothing at all was wasted, as files have always said it
        compute=_by_reason((compute if anything else compute.astype(np.int64)).tolist()),
        bytes=_by_reason([int(size) for size in moved.tolist()]),
        all_compute=float(seconds.sum()),
        all_bytes=sizes,
    )


def _by_reason(amounts: list[Any]) -> dict[Reason, Any]:
    """Amounts by reason; that of devices that left only where some did something for nothing."""
    return {reason: amount for reason, amount in zip(REASONS, amounts, strict=True) if amount or reason != "interrupted"}


def _keys(columns: Columns, rows: Integers, width: int) -> Integers:
    return np.asarray(columns.device[rows].astype(np.int64) * width + columns.round[rows], dtype=np.int64)


def among(keys: Integers, known: Integers) -> NDArray[np.bool_]:
    """Which keys are among the known ones (ascending)."""
    if not len(known):
        return np.zeros(len(keys), bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys)


def _effort(columns: Columns, rows: Integers) -> tuple[Floats, Floats]:
    """Seconds of a processor and bytes of each row."""
    kind = columns.kind[rows]
    seconds = np.where(np.isin(kind, WORK), columns.end[rows] - columns.start[rows], 0.0)
    return seconds, np.where((kind == UPLOAD) | (kind == DOWNLOAD), columns.amount[rows], 0.0)
