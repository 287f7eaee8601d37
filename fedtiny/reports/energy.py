"""What devices spent their energy on, by device class and kind of activity, what that emitted, and what keeping the model wore."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import NONE, count, grams, joules, number
from fedtiny.results.activities import ROWS_AT_ONCE, Activities
from fedtiny.results.metrics import WORK_KINDS, device_classes, floats
from fedtiny.results.record import RunResult

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "computing": WORK_KINDS,
    "waiting": ("stall", "idle"),
    "receiving": ("download",),
    "sending": ("upload",),
    "waking_the_radio": ("promotion",),
    "radio_tails": ("tail",),
    "offline": ("offline",),
}
_ALWAYS: Final = ("computing", "waiting", "receiving", "sending")
_OF_BYTES: Final = ("receiving", "sending")
_UNKNOWN: Final = "not known"
_ENERGY_NOTE: Final = (
    "Sums over the devices of a class, to the end of the run; computing includes start-up and paging. Not known: no source gives that "
    "network's joules per byte, and its radio is left out of the sum."
)
_FLASH_NOTE: Final = (
    "The weights that a device trains are written once in each round that it trains in, to the same blocks; the share is that of a block's "
    "erase cycles, of the device that used most."
)


def energy_by_kind(activities: Activities, devices: pa.Table) -> dict[int, dict[str, float]]:
    """Joules of each kind of activity by the group of the device, of kinds that there are; NaN where one of them is unknown."""
    numbers, groups = (np.asarray(devices[name].to_numpy(), dtype=np.int64) for name in ("device", "group"))
    order = np.argsort(numbers, kind="stable")
    result: dict[int, dict[str, float]] = {int(group): {} for group in np.unique(groups)}
    for batch in activities.to_batches(ROWS_AT_ONCE):
        own = groups[order[np.searchsorted(numbers[order], batch["device"].to_numpy())]]
        kinds, joules = batch["kind"].dictionary_encode(), floats(batch, "energy")
        codes = kinds.indices.to_numpy()
        for code, kind in enumerate(kinds.dictionary.to_pylist()):
            for group, spent in result.items():
                rows = (codes == code) & (own == group)
                if rows.any():
                    spent[kind] = spent.get(kind, 0.0) + float(joules[rows].sum())
    return result


def energy_rows(result: RunResult) -> list[dict[str, str]]:
    """A row of texts for each device class; none where the energy of nobody is known."""
    spent = energy_by_kind(result.all_activities(), result.devices)
    if not np.isfinite(floats(result.devices, "energy")).any():
        return []
    there = {kind for joules_of in spent.values() for kind in joules_of}
    shown = [name for name, kinds in _COLUMNS.items() if name in _ALWAYS or there & set(kinds)]
    rows = []
    for entry in device_classes(result.devices):
        own, total = spent[entry.group], float(floats(result.devices, "energy")[entry.rows].sum())
        row = {name: _spent(name, own) for name in shown}
        emitted = {"emissions": grams(float(floats(result.devices, "carbon")[entry.rows].sum()))} if _has(result, "carbon") else {}
        rows.append({"device_class": entry.label, **row, "all": joules(total), **emitted})
    return rows


def _spent(name: str, own: Mapping[str, float]) -> str:
    amounts = [own[kind] for kind in _COLUMNS[name] if kind in own]
    # what moves bytes and costs nothing at all is a radio of which nothing is known
    return _UNKNOWN if name in _OF_BYTES and amounts and not any(amounts) else joules(sum(amounts))


def energy_table(result: RunResult) -> Table | None:
    """The same for a report; None where the energy of nobody is known."""
    return _table(energy_rows(result), _ENERGY_NOTE)


def flash_rows(result: RunResult) -> list[dict[str, str]]:
    """A row of texts for each device class that keeps its model in a flash that is known; none where nobody does."""
    if not _has(result, "flash_blocks_erased"):
        return []
    erased, used = floats(result.devices, "flash_blocks_erased"), floats(result.devices, "flash_endurance_used")
    rows = []
    for entry in device_classes(result.devices):
        own, shares = erased[entry.rows], used[entry.rows]
        if np.isfinite(own).any():
            rows.append(
                {
                    "device_class": entry.label,
                    "blocks_erased": count(int(own.sum())),
                    "per_device": number(float(own.mean())),
                    "endurance_used": f"{number(100 * float(shares.max()))} %" if np.isfinite(shares).any() else NONE,
                }
            )
    return rows


def flash_table(result: RunResult) -> Table | None:
    """The same for a report; None where nobody's flash is known."""
    return _table(flash_rows(result), _FLASH_NOTE)


def _has(result: RunResult, column: str) -> bool:
    return column in result.devices.column_names


def _table(rows: list[dict[str, str]], note: str) -> Table | None:
    if not rows:
        return None
    return Table(tuple(name.replace("_", " ") for name in rows[0]), tuple(tuple(row.values()) for row in rows), note)
