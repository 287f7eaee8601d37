"""The table that shows who trained what, and why."""

from collections import Counter
from typing import Any

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import NONE, count, number, size
from fedtiny.results.metrics import device_classes
from fedtiny.results.record import RunResult


def participation_table(result: RunResult) -> Table | None:
    """One row for each device class, update and outcome; None where every device trained the same."""
    rows = result.devices.to_pylist()
    if len({(row["scheme"], row["status"] in ("downgraded", "excluded")) for row in rows}) < 2:
        return None
    labels = {entry.group: entry.label for entry in device_classes(result.devices)}
    alike: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault((row["group"], row["scheme"], row["scheme_reason"], row["status"]), []).append(row)
    columns = ("device class", "trained", "outcome", "why", "devices", "memory budget", "training needs", "rounds")
    note = "Training needs: of what the device trains, or of the cheapest update it was offered. Rounds: mean per device."
    return Table(columns, tuple(_row(labels[key[0]], members) for key, members in alike.items()), note, text_columns=4)


def _row(label: str, members: list[dict[str, Any]]) -> tuple[str, ...]:
    first = members[0]
    rounds = sum(member["rounds"] for member in members) / len(members)
    return (
        label,
        first["scheme"] or NONE,
        first["status"],
        first["scheme_reason"] or NONE,
        count(len(members)),
        size(first["memory_budget"]),
        size(first["peak_memory"]),
        number(rounds),
    )


def participation_sentence(result: RunResult) -> str:
    """How many devices trained which update: "5 devices trained full, 5 bias; 2 were left out."."""
    schemes = Counter(row["scheme"] for row in result.devices.to_pylist() if row["rounds"])
    left_out = result.devices["status"].to_pylist().count("excluded")
    trained = ", ".join(f"{count(many)} {scheme}" for scheme, many in schemes.most_common())
    return f"Devices by what they trained: {trained or 'none'}" + (f"; {count(left_out)} left out." if left_out else ".")
