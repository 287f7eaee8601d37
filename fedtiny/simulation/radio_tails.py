"""The tails of radios that sleep (fleet/radio_states.py): when a radio was connected and sent nothing.

They follow from the transfers. A radio is connected from the beginning of a transfer, waking included, until `inactivity` after the end of
the last one; what of that is no transfer, and no time in which the device is not there, is a tail. A radio that was given nothing to send
any more before it was awake (its device left) sleeps on, and has none.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.absences import NOBODY_AWAY, Absences
from fedtiny.simulation.by_device import RowsByDevice, in_blocks, taken
from fedtiny.simulation.trace import CANCELLED, DOWNLOAD, PROMOTION, TAIL, UPLOAD, Columns
from fedtiny.simulation.waiting import Waits, WaitsInParts

_ROUNDING: Final = 1e-9

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def tails(
    columns: Columns, devices: Integers, inactivity: Floats, promotion: Floats, end: float, absences: Absences = NOBODY_AWAY
) -> Waits:
    """The tails of these devices (ascending) in a trace that ends at `end` (s), by device and by time within a device.

    `inactivity` and `promotion` (s), each array (devices,), are those of their radios; `absences` say when they are not there. What was
    lost or cut kept a radio awake too. The round of a tail is that of the transfer before it.
    """
    rows, found = RowsByDevice(columns.device), WaitsInParts()
    for some in in_blocks(devices, rows.up_to(devices)):
        first = int(np.searchsorted(devices, some[0]))
        own = slice(first, first + len(some))
        part = _tails(taken(columns, rows.rows(some)), some, inactivity[own], promotion[own], end)
        found.add(_while_there(part, absences.of(some)))
    return found.joined()


def _tails(columns: Columns, devices: Integers, inactivity: Floats, promotion: Floats, end: float) -> Waits:
    """The same of some devices, from their own rows (others' do no harm), whether they are there or not."""
    place = np.minimum(np.searchsorted(devices, columns.device), len(devices) - 1)
    known = devices[place] == columns.device
    sent = np.flatnonzero(known & ((columns.kind == DOWNLOAD) | (columns.kind == UPLOAD)))
    woken = np.flatnonzero(known & (columns.kind == PROMOTION) & (columns.outcome == CANCELLED))
    rows = np.concatenate([sent, woken, sent])
    # at one moment what begins is before what ends: transfers that touch, or take no time, leave the radio awake
    sort = np.repeat(np.array([0, 1, 2], np.int8), [len(sent), len(woken), len(sent)])
    time = np.where(sort == 2, columns.end[rows], columns.start[rows])
    order = np.lexsort((sort, time, columns.device[rows]))
    rows, sort, time = rows[order], sort[order], time[order]
    over = (np.cumsum(1 - sort.astype(np.int32)) == 0) & (sort == 2)
    last = np.flatnonzero(over)
    following = np.append(time, end)[last + 1]
    following[columns.device[np.append(rows, rows[-1:])[last + 1]] != columns.device[rows[last]]] = end
    following[last == len(rows) - 1] = end
    until = np.minimum(np.minimum(time[last] + inactivity[place[rows[last]]], following), end)
    kept = (until > time[last]) & ~_slept_on(time, sort == 1, over, promotion[place[rows]])
    last, until = last[kept], until[kept]
    return Waits(columns.device[rows[last]], columns.round[rows[last]], np.full(len(last), TAIL, np.int8), time[last], until)


def _slept_on(time: Floats, began_to_wake: NDArray[np.bool_], over: NDArray[np.bool_], promotion: Floats) -> NDArray[np.bool_]:
    """Whether each stretch of transfers was over before the radio was awake, (stretches,); arguments by point."""
    result = np.zeros(int(over.sum()), bool)
    stretch: Integers = (np.cumsum(over) - over)[began_to_wake]
    awake = (time + (1.0 - _ROUNDING) * promotion)[began_to_wake]
    result[stretch[time[over][stretch] < awake]] = True
    return result


def _while_there(spans: Waits, absences: Absences) -> Waits:
    """What of some spans, which do not overlap, is outside of absences."""
    if not len(absences.device) or not len(spans.device):
        return spans
    sizes = [len(spans.device)] * 2 + [len(absences.device)] * 2
    move = np.repeat(np.array([2, -2, 1, -1], np.int32), sizes)
    device = np.concatenate([spans.device, spans.device, absences.device, absences.device])
    time = np.concatenate([spans.start, spans.end, absences.start, absences.end])
    order = np.lexsort((time, device))
    move, time = move[order], time[order]
    whose = np.cumsum(move == 2) - 1
    # spans that touch follow one another, so that at most one is under way; 2: one is, and the device is there
    inside = np.flatnonzero((np.cumsum(move) == 2) & np.append(time[1:] > time[:-1], False))
    own = whose[inside]
    return Waits(spans.device[own], spans.round[own], spans.kind[own], time[inside], time[inside + 1])
