"""The tables of a report of one or several runs, and the numbers at its head."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from fedtiny.reports.blocks import Table, Tile
from fedtiny.reports.quantities import NONE, count, grams, joules, number, percent, ratio, seconds, size
from fedtiny.results.metrics import (
    DeviceClass,
    FloatArray,
    Target,
    accuracies,
    bytes_to_target,
    changes_delay,
    device_classes,
    energy_to_target,
    floats,
    mean_round_time,
    processor_seconds,
    rounds_to_target,
    stall_shares_by_class,
    time_to_target,
)
from fedtiny.results.record import DeviceStatus, MemoryNeed, PopulationClass, RunResult

_STATUSES: Final[tuple[DeviceStatus, ...]] = ("trained", "downgraded", "excluded", "dead", "unused")
_EXCERPT_ROWS: Final = 14
_LADDER_STEPS: Final = (0.01, 0.02, 0.05, 0.1)
_MOST_LADDER_ROWS: Final = 10


def tiles(result: RunResult) -> tuple[Tile, ...]:
    """The run in a few numbers."""
    summary, rounds = result.summary, result.rounds
    known = accuracies(rounds)
    start = f"from {percent(float(known[0]))}" if np.isfinite(known[0]) else ""
    target = summary.get("target_accuracy")
    reached = Tile("time to target", seconds(summary.get("time_to_target")), "" if target is None else f"target {percent(target)}")
    statuses = result.devices["status"].to_pylist()
    return (
        Tile("final accuracy", percent(summary["accuracy"]), start),
        Tile("virtual time", seconds(summary["virtual_time"]), f"{seconds(mean_round_time(rounds))} per round"),
        *((reached,) if target is not None else ()),
        Tile("rounds", count(summary["rounds"]), f"{count(int(floats(rounds, 'failures').sum()))} replies missing"),
        Tile(
            "devices", count(len(statuses)), ", ".join(f"{statuses.count(status)} {status}" for status in _STATUSES if status in statuses)
        ),
        Tile(
            "moved",
            size(summary["bytes_up"] + summary["bytes_down"]),
            f"{size(summary['bytes_up'])} up, {size(summary['bytes_down'])} down",
        ),
        Tile(
            "energy of the fleet",
            joules(summary["energy"]),
            "idle included" if summary["energy"] is not None else "not known for every device",
        ),
        *((_emissions(summary["carbon"]),) if "carbon" in summary else ()),
    )


def _emissions(carbon: float | None) -> Tile:
    amount, _, unit = grams(carbon).rpartition("\N{NO-BREAK SPACE}")
    return Tile("emissions of the fleet", amount or unit, f"{unit} of its energy" if amount else "not known for every device")


def fleet_table(result: RunResult) -> Table:
    """The device classes: how many, what memory they offer, what training needs there."""
    needs = {need["group"]: need for need in result.memory}
    drawn = {item["group"]: item for item in result.population}
    rows = []
    for entry in device_classes(result.devices):
        need, counts = needs.get(entry.group), drawn.get(entry.group)
        budgets = floats(result.devices, "memory_budget")[entry.rows]
        verdict = NONE if need is None else _verdict(need) if counts is None else _share_that_fits(counts)
        scheme = NONE if need is None else need["scheme"]
        rows.append(
            (
                entry.label,
                scheme,
                verdict,
                count(entry.rows.size) if counts is None else f"{count(entry.rows.size)} of {count(counts['devices'])}",
                size(int(budgets.max())) if counts is None else _range(budgets),
                size(need["total_bytes"] if need else None),
                _examples(result, entry),
            )
        )
    columns = ("device class", "update", "fits", "devices", "memory budget", "training needs", "local examples")
    note = "Of a population, devices that a message reached, of those enrolled; it fits so many of those enrolled." if drawn else ""
    return Table(columns, tuple(rows), note, text_columns=3)


def _share_that_fits(counts: PopulationClass) -> str:
    return percent(counts["taking_part"] / counts["devices"]) if counts["devices"] else NONE


def _range(sizes: FloatArray) -> str:
    low, high = int(sizes.min()), int(sizes.max())
    return size(low) if low == high else f"{size(low)} to {size(high)}"


def _verdict(need: MemoryNeed) -> str:
    if not need["fits"]:
        return "no"
    paged = need.get("paged_bytes", 0)
    return f"pages {size(paged)} a step" if paged else "yes"


def _examples(result: RunResult, entry: DeviceClass) -> str:
    examples = floats(result.devices, "examples")[entry.rows]
    low, high = int(examples.min()), int(examples.max())
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def devices_table(result: RunResult) -> Table:
    """What the devices of each class did: how many trained, what share of their time they waited, their energy."""
    stalls = stall_shares_by_class(result.activities, result.devices)
    spent = processor_seconds(result.activities, result.devices)
    energy = floats(result.devices, "energy")
    rows = []
    for entry in device_classes(result.devices):
        statuses = [result.devices["status"][int(row)].as_py() for row in entry.rows]
        outcome = ", ".join(f"{statuses.count(status)} {status}" for status in _STATUSES if status in statuses)
        rounds = float(floats(result.devices, "rounds")[entry.rows].mean())
        times = [float(spent[kind][entry.rows].mean()) for kind in ("train", "stall", "idle")]
        joule = float(energy[entry.rows].mean())
        rows.append((entry.label, outcome, number(rounds), *map(seconds, times), percent(stalls[entry.group]), joules(joule)))
    columns = ("device class", "outcome", "rounds", "training", "stalled", "idle", "stall share", "energy")
    note = "Means per device. Stall share: the part of the time in which a device takes part that its processor waits for a message."
    return Table(columns, tuple(rows), note, text_columns=2)


def ladder_table(result: RunResult) -> Table | None:
    """When the accuracy first passed each of a ladder of round values; None if it was never measured or never rose."""
    known = accuracies(result.rounds)
    if np.isnan(known[0]) or np.nanmax(known) <= known[0]:
        return None
    span = float(np.nanmax(known) - known[0])
    step = next((step for step in _LADDER_STEPS if span / step <= _MOST_LADDER_ROWS), _LADDER_STEPS[-1])
    levels = {round(place * step, 6) for place in range(1, int(1 / step) + 1) if known[0] < place * step <= np.nanmax(known)}
    target = result.summary.get("target_accuracy")
    stated = {target} if target is not None else set()
    rows = [(percent(level) + (" (target)" if level in stated else ""), *_until(result.rounds, level)) for level in sorted(levels | stated)]
    return Table(("accuracy", "round", "virtual time", "moved", "energy"), tuple(rows)) if rows else None


def _until(rounds: pa.Table, level: float) -> tuple[str, str, str, str]:
    reached = rounds_to_target(rounds, level)
    if reached is None:
        return "never", NONE, NONE, NONE
    return (
        count(reached),
        seconds(time_to_target(rounds, level)),
        size(bytes_to_target(rounds, level)),
        joules(energy_to_target(rounds, level)),
    )


def comparison_table(results: Sequence[RunResult], target: Target) -> Table:
    """What each run takes to reach the target, and how many times less time and bytes that is than the first run's."""
    first = results[0].rounds
    rows = []
    for result in results:
        rounds = result.rounds
        sooner = _times_less(time_to_target(first, target.accuracy), time_to_target(rounds, target.accuracy))
        lighter = _times_less(bytes_to_target(first, target.accuracy), bytes_to_target(rounds, target.accuracy))
        rows.append((result.name, percent(result.summary["accuracy"]), *_until(rounds, target.accuracy), ratio(sooner), ratio(lighter)))
    columns = (
        "run",
        "final accuracy",
        "rounds to target",
        "time to target",
        "bytes to target",
        "energy to target",
        "sooner by",
        "fewer bytes by",
    )
    note = f"Target: {percent(target.accuracy)}, {target.rule}. Last two columns: time and bytes of the first run, divided by this run's."
    return Table(columns, tuple(rows), note)


def _times_less(reference: float | None, value: float | None) -> float | None:
    return reference / value if reference is not None and value else None


def totals_table(results: Sequence[RunResult]) -> Table:
    """The runs as a whole, one row each."""
    rows = []
    for result in results:
        summary = result.summary
        shares = stall_shares_by_class(result.activities, result.devices)
        worst = max((share for share in shares.values() if share is not None), default=None)
        moved = (size(summary["bytes_up"]), size(summary["bytes_down"]))
        time = (seconds(summary["virtual_time"]), seconds(mean_round_time(result.rounds)))
        rows.append((result.name, count(summary["rounds"]), *time, *moved, joules(summary["energy"]), percent(worst)))
    columns = ("run", "rounds", "virtual time", "per round", "up", "down", "energy", "highest stall share")
    return Table(columns, tuple(rows), "Highest stall share: that of the device class that waits most.")


def rounds_table(result: RunResult) -> Table:
    """An excerpt of the rounds: the first, the last, and some in between; with their delays in local steps, where these change."""
    total, delayed = result.rounds.num_rows, changes_delay(result.rounds)
    chosen = sorted({round(place) for place in np.linspace(0, total - 1, min(total, _EXCERPT_ROWS))})
    rows = []
    for row in result.rounds.take(chosen).to_pylist():
        moved = (size(row["bytes_up"]), size(row["bytes_down"]), joules(row["energy"]))
        replies = (count(row["participants"]), count(row["failures"]))
        quality = (percent(row["accuracy"]), number(row["loss"]))
        delay = (count(row["delay"]),) if delayed else ()
        rows.append((count(row["round"]), seconds(row["virtual_time"]), *quality, *delay, *replies, *moved))
    delay = ("delay",) if delayed else ()
    columns = ("round", "virtual time", "accuracy", "loss", *delay, "participants", "missing", "up", "down", "energy")
    note = "" if total <= _EXCERPT_ROWS else f"{len(chosen)} of {total} versions of the global model; rounds.parquet holds all of them."
    return Table(columns, tuple(rows), note)
