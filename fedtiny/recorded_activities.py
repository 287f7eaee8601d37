"""The activities of a run, as its trace and its waits hold them: rows of their table, made when somebody asks for them.

A row of the table takes a hundred bytes and more, what it is made from takes a third of that and is there anyway. So a run keeps no
table of its activities: whoever adds them up or writes them gets them slice by slice, and the table only who wants it whole.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedtiny.costs.energy import compute_energy, radio_energy, transfer_energy, waiting_energy
from fedtiny.costs.paging import paging_energy
from fedtiny.fleet.enrolled import AnyFleet
from fedtiny.fleet.fleet import GroupMembers
from fedtiny.results.record import ACTIVITIES
from fedtiny.simulation.absences import Absences, AwayUntil
from fedtiny.simulation.radio_tails import tails
from fedtiny.simulation.stall_causes import Stalls
from fedtiny.simulation.trace import (
    DONE,
    DOWNLOAD,
    IDLE,
    KINDS,
    OFFLINE,
    OUTCOMES,
    PAGING,
    PROMOTION,
    STALL,
    TAIL,
    UPLOAD,
    WORK,
    Columns,
    Trace,
)
from fedtiny.simulation.waiting import Waits, WaitsInParts, waiting

_MERGED_AT_ONCE: Final = 1 << 14

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RecordedActivities:
    """Rows of the activities table, waiting included, by start, device and kind; see `results.activities.Activities`."""

    _fleet: AnyFleet
    _columns: Columns
    _waits: Waits
    _order: NDArray[np.int32]
    """By row of the table: the row of the trace or, behind those, the wait."""

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return len(self._order)

    def to_batches(self, max_chunksize: int) -> Iterator[pa.RecordBatch]:
        """All rows in order, this many at a time."""
        for first in range(0, self.num_rows, max_chunksize):
            yield _batch(self._fleet, self._columns, self._waits, self._order[first : first + max_chunksize])
            # Arrow keeps what was freed, and batches that come one after another would take up memory each
            pa.default_memory_pool().release_unused()

    def stalls(self) -> Stalls:
        """When processors stalled."""
        rows = self._waits.kind == STALL
        return Stalls(self._waits.device[rows], self._waits.start[rows], self._waits.end[rows])


def recorded_activities(
    fleet: AnyFleet, trace: Trace, versions: Mapping[int, float], listed: Integers, end: float, away: AwayUntil
) -> RecordedActivities:
    """What happened until `end` (s) in a trace that nobody adds to any more; `versions` maps rounds to the time of their version (s).

    `listed` are the devices whose waits count (ascending), `fleet` all there are, `away` says when some are not there.
    """
    columns, absences = trace.columns(), away(listed, end)
    waits, after = waiting(trace, versions, listed, end, absences), radio_tails(fleet, columns, listed, end, absences)
    if len(after.device):
        both = WaitsInParts()
        both.add(waits)
        both.add(after)
        waits = both.joined()
    return RecordedActivities(fleet, columns, waits, _order(columns, waits))


def radio_tails(fleet: AnyFleet, columns: Columns, listed: Integers, end: float, absences: Absences) -> Waits:
    """The tails of the radios of these devices (ascending) up to `end` (s); none of radios that never sleep."""
    states = [group.network.radio_states for group in fleet.groups]
    sleeps = np.array([one is not None for one in states])
    of_group = fleet.groups_of(listed) if sleeps.any() else np.zeros(0, np.int64)
    if not sleeps[of_group].any():
        return WaitsInParts().joined()
    own = sleeps[of_group]
    inactivity, promotion = (
        np.array([0.0 if one is None else getattr(one, name) for one in states]) for name in ("inactivity", "promotion")
    )
    return tails(columns, listed[own], inactivity[of_group[own]], promotion[of_group[own]], end, absences)


def _order(columns: Columns, waits: Waits) -> NDArray[np.int32]:
    """Rows of what was recorded, and of waits behind them, by start, device and kind."""
    recorded, waited = _by_start(columns.start), _by_start(waits.start)
    result = np.empty(len(recorded) + len(waited), np.int32)
    done = [0, 0]
    # merged some at a time: sorted together, all of them take several times what the result does
    while sum(done) < len(result):
        upto = _cuts((columns.start, waits.start), (recorded, waited), done)
        rows, others = recorded[done[0] : upto[0]], waited[done[1] : upto[1]]
        keys = (
            np.concatenate([columns.kind[rows], waits.kind[others]]),
            np.concatenate([columns.device[rows], waits.device[others]]),
            np.concatenate([columns.start[rows], waits.start[others]]),
        )
        both = np.concatenate([rows, others + np.int32(len(recorded))])
        result[sum(done) : sum(upto)] = both[np.lexsort(keys)]
        done = upto
    return result


def _by_start(start: Floats) -> NDArray[np.int32]:
    return np.argsort(start, kind="stable").astype(np.int32)


def _cuts(starts: tuple[Floats, Floats], orders: tuple[NDArray[np.int32], NDArray[np.int32]], done: list[int]) -> list[int]:
    """Up to where each of the two may be taken next so that what is left starts later than all that is taken."""
    ahead = [place + _MERGED_AT_ONCE for place in done]
    until = min(
        (float(start[order[place - 1]]) for start, order, place in zip(starts, orders, ahead, strict=True) if place <= len(order)),
        default=np.inf,
    )
    return [int(np.searchsorted(start, until, "right", sorter=order)) for start, order in zip(starts, orders, strict=True)]


def _batch(fleet: AnyFleet, columns: Columns, waits: Waits, rows: NDArray[np.int32]) -> pa.RecordBatch:
    """These rows, as `_order` numbers them, as rows of the table."""
    waited = rows >= len(columns.kind)
    recorded, wait = rows[~waited], rows[waited] - len(columns.kind)

    def taken(values: NDArray[Any], others: NDArray[Any] | float) -> NDArray[Any]:
        result: NDArray[Any] = np.empty(len(rows), values.dtype)
        result[~waited], result[waited] = values[recorded], others[wait] if isinstance(others, np.ndarray) else others
        return result

    kind, device, amount = taken(columns.kind, waits.kind), taken(columns.device, waits.device), taken(columns.amount, 0.0)
    start, finish = taken(columns.start, waits.start), taken(columns.end, waits.end)
    transfer = (kind == DOWNLOAD) | (kind == UPLOAD)
    made = {
        "device": pa.array(device.astype(np.int64)),
        "round": pa.array(taken(columns.round, waits.round).astype(np.int64), mask=(kind == IDLE) | (kind == OFFLINE)),
        "kind": _names(kind, KINDS),
        "start": pa.array(start),
        "end": pa.array(finish),
        "arrival": _nullable(taken(columns.arrival, np.nan)),
        "bytes": pa.array(np.where(transfer, amount, 0).astype(np.int64)),
        "payload_bytes": pa.array(taken(columns.payload_bytes, 0)),
        "macs": pa.array(np.where(transfer, 0.0, amount)),
        "energy": _nullable(energies(fleet, device, kind, finish - start, amount)),
        "outcome": _names(taken(columns.outcome, DONE), OUTCOMES),
    }
    return pa.RecordBatch.from_arrays([made[name] for name in ACTIVITIES.names], schema=ACTIVITIES)


def _names(codes: NDArray[np.int8], names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(codes, pa.array(names)).cast(pa.string())


def _nullable(values: Floats) -> pa.Array:
    return pa.array(values, mask=np.isnan(values))


def energies(fleet: AnyFleet, device: NDArray[Any], kind: NDArray[np.int8], seconds: Floats, size: Floats) -> Floats:
    """Joules of activities of a fleet's devices, each array (activities,); nan where they are not known.

    All devices of a group cost the same.
    """
    of_group = fleet.groups_of(device)
    result = np.zeros(len(device))
    for place, group in enumerate(fleet.groups):
        for code in (DOWNLOAD, *WORK, IDLE, PROMOTION, STALL, TAIL, UPLOAD):
            rows = np.flatnonzero((of_group == place) & (kind == code))
            result[rows] = _energy(code, group, seconds[rows], size[rows])
    return result


def _energy(kind: int, group: GroupMembers, seconds: Floats, size: Floats) -> Floats | float:
    power, network = group.device.power, group.network
    if kind in (DOWNLOAD, UPLOAD):
        joules = transfer_energy(size, network.energy_down if kind == DOWNLOAD else network.energy_up)
        return 0.0 if joules is None else joules
    if kind in (PROMOTION, TAIL):
        joules = radio_energy(network.radio_states, seconds, wakes=kind == PROMOTION)
    elif kind == PAGING:
        joules = paging_energy(group.device, seconds)
    else:
        joules = compute_energy(power, seconds) if kind in WORK else waiting_energy(power, seconds)
    return np.nan if joules is None else joules
