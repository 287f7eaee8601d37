"""What became of batteries, by device class: who ran empty, how often and for how long, and what was left."""

from typing import Final

import numpy as np

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import count, joules, percent, seconds
from fedtiny.results.metrics import device_classes, floats
from fedtiny.results.record import RunResult

_NOTE: Final = "Charges are shares of the capacity: means, and of the device that has least. A device that ran empty was off until charged."


def battery_rows(result: RunResult) -> list[dict[str, str]]:
    """A row of texts for each device class with batteries; none where nobody has one."""
    devices = result.devices
    if "battery_capacity" not in devices.column_names:
        return []
    columns = {name: floats(devices, name) for name in devices.column_names if name in _NUMBERS}
    rows = []
    for entry in device_classes(devices):
        own = {name: values[entry.rows] for name, values in columns.items()}
        powered = np.isfinite(own["battery_capacity"])
        if not powered.any():
            continue
        own = {name: values[powered] for name, values in own.items()}
        begin, end = (own[name] / own["battery_capacity"] for name in ("charge_at_start", "charge_at_end"))
        empty = own["times_empty"]
        rows.append(
            {
                "device_class": entry.label,
                "battery": joules(float(own["battery_capacity"][0])),
                "charge_at_start": f"{percent(float(begin.mean()))} (least {percent(float(begin.min()))})",
                "charge_at_end": f"{percent(float(end.mean()))} (least {percent(float(end.min()))})",
                "charged": joules(float(own["charged"].mean())),
                "ran_empty": f"{count(int((empty > 0).sum()))} of {count(len(empty))} devices",
                "times_empty": count(int(empty.sum())),
                "off_per_device": seconds(float(own["time_empty"].mean())),
            }
        )
    return rows


def battery_table(result: RunResult) -> Table | None:
    """The same for a report; None where nobody has a battery."""
    rows = battery_rows(result)
    if not rows:
        return None
    names = tuple(name.replace("_", " ") for name in rows[0])
    return Table(names, tuple(tuple(row.values()) for row in rows), _NOTE)


_NUMBERS: Final = ("battery_capacity", "charge_at_start", "charged", "charge_at_end", "times_empty", "time_empty")
