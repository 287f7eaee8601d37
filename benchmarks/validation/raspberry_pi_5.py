"""Raspberry Pi 5: from the Raspberry Pi 4 by one factor, of measured steps and of the shipped profile."""

from math import exp, log
from statistics import mean
from typing import Final

from layers import known_networks
from raspberry_pi_4 import BATCH, SOURCE, measured
from rows import Check, Row, Section, median_error, table
from speed_fit import full, head_only

from fedtiny.costs.compute import step_seconds
from fedtiny.fleet.catalog import load_device

FACTOR: Final = 2.08
"""How much faster than a Raspberry Pi 4; the catalog's profile is made with it."""


def published() -> dict[tuple[str, bool], float]:
    """Seconds of a step by network and whether only the head trains."""
    rows = table("raspberry_pi_5")
    columns = ((False, "train_seconds"), (True, "head_only_seconds"))
    return {(row["model"], head): float(row[column]) for row in rows for head, column in columns}


def factor() -> float:
    """The geometric mean of Pi 4 / Pi 5 over the full steps that were measured on both."""
    other = {(step.network, step.head_only): step.seconds for step in measured()}
    return exp(mean(log(other[key] / seconds) for key, seconds in published().items() if key in other and not key[1]))


def section() -> Section:
    """The Raspberry Pi 5's part of the page."""
    other = {(step.network, step.head_only): step.seconds for step in measured()}
    networks, device = known_networks(), load_device("raspberry_pi_5")
    scaled, layered = [], []
    for (name, head), seconds in published().items():
        what = f"{name}, {'head only' if head else 'full'}, batch 16"
        if (name, head) in other and not head:
            said = Row("Raspberry Pi 5, measured Pi 4 by one factor", device.name, what, other[name, head] / FACTOR, seconds, "s", SOURCE)
            scaled.append(said)
        plan = (head_only if head else full)(networks[name])
        group = "Raspberry Pi 5, head only" if head else "Raspberry Pi 5, full"
        layered.append(Row(group, device.name, what, step_seconds(networks[name], plan, BATCH, device), seconds, "s", SOURCE))
    text = (
        f"Everything of the Raspberry Pi 4 times one factor, {FACTOR}: the geometric mean over the full steps measured on both boards. "
        f"The first rows are measured times of the Raspberry Pi 4 by that factor (median error {median_error(scaled):.1%}), the others "
        f"the shipped profile with layer counts (median error {median_error(layered):.1%})."
    )
    worst = max(abs(row.error) for row in scaled)
    return Section(
        "Raspberry Pi 5", text, [*scaled, *layered], [Check("Raspberry Pi 5 from Pi 4 by one factor: largest error", worst, 0.0, 0.20)]
    )
