"""Plan: what a scenario would take, without training: does it fit each class of devices, how long is a round, and what limits it.

The numbers are those of a run without learning (timing_run.py) up to the scenario's last round, so they are those of `fedtiny
run` wherever learning does not end it earlier. Times are virtual seconds; energy counts waiting too, and is unknown (null)
where the power of any device is. `carbon` is there where the scenario states a carbon intensity.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from fedtiny.alike_devices import DeviceClass
from fedtiny.battery_results import battery_notes
from fedtiny.carbon_results import emission_factors
from fedtiny.costs.paging import paged_bytes
from fedtiny.device_classes import TimedFleet
from fedtiny.planned_energy import planned_energies
from fedtiny.recording import away_of
from fedtiny.reports.quantities import count, grams, joules, percent, seconds, size
from fedtiny.round_bottleneck import CAUSES, Cause, round_causes
from fedtiny.scenario.schema import Scenario
from fedtiny.strategies.asked import asked_at_once
from fedtiny.timing_run import Progress, TimedRun, run_timing


@dataclass(frozen=True)
class Plan:
    """The answer of `fedtiny plan`."""

    document: dict[str, Any]
    """The document of `fedtiny plan --json`: plain numbers in base units."""
    run: TimedRun


def plan(scenario: Scenario, *, allow_code: bool = False, progress: Progress | None = None) -> Plan:
    """Plans a scenario; raises what `timing_run.run_timing` raises."""
    run = run_timing(scenario, allow_code=allow_code, progress=progress)
    times = [version.virtual_time for version in run.versions]
    spans = np.diff(times)
    last = run.versions[-1]
    document = {
        "scenario": scenario.name,
        "strategy": scenario.strategy.kind,
        "devices": len(run.fleet.blueprint.fleet),
        "taking_part": sum(item.count for item in run.fleet.included),
        "asked_per_round": asked_at_once(scenario.strategy, sum(item.count for item in run.fleet.included)),
        "classes": [_class_row(run.fleet, alike) for alike in _alike(run.fleet.classes)],
        "rounds": last.round,
        "virtual_time": last.virtual_time,
        "round_seconds": {"median": float(np.median(spans)), "last": float(spans[-1])} if len(spans) else None,
        "failures": sum(version.participation.failures for version in run.versions),
        "bytes_down": last.bytes_down,
        "bytes_up": last.bytes_up,
        **_energy(run),
        "bottleneck": _bottleneck(run, times),
        "notes": [*_notes(scenario), *battery_notes(run.trace.batteries)],
    }
    return Plan(document, run)


def class_rows(document: dict[str, Any]) -> list[dict[str, str]]:
    """The classes of a plan as rows of texts with units."""
    return [
        {
            "devices": f"{count(row['devices'])} x {row['profile']}",
            "network": row["network"],
            "trains": row["scheme"] if row["fits"] else "nothing",
            "peak_memory": f"{size(row['peak_memory'])} of {_budgets(row)}{_paging_text(row)}",
            "step": seconds(row["step_seconds"]),
            "round's_steps": seconds(row["compute_seconds"]),
            "download": seconds(row["download_seconds"]),
            "upload": seconds(row["upload_seconds"]),
            "why": row["reason"],
        }
        for row in document["classes"]
    ]


def total_rows(document: dict[str, Any]) -> list[dict[str, str]]:
    """The rounds of a plan as one row of texts with units."""
    spans, bottleneck = document["round_seconds"], document["bottleneck"]
    limit = {} if bottleneck is None else {"bottleneck": f"{bottleneck['cause']} of {bottleneck['device_class'] or 'the strategy'}"}
    return [
        {
            "rounds": count(document["rounds"]),
            "asked_per_round": f"{count(document['asked_per_round'])} of {count(document['taking_part'])}",
            "median_round": seconds(spans["median"] if spans else None),
            "last_round": seconds(spans["last"] if spans else None),
            "virtual_time": seconds(document["virtual_time"]),
            "down": size(document["bytes_down"]),
            "up": size(document["bytes_up"]),
            "energy": joules(document["energy"]),
            **({"carbon": grams(document["carbon"])} if "carbon" in document else {}),
            **limit,
        }
    ]


def cause_rows(document: dict[str, Any]) -> list[dict[str, str]]:
    """What the rounds' critical devices were kept by, as rows of texts; none where no round was planned."""
    bottleneck = document["bottleneck"]
    if bottleneck is None:
        return []
    mean = bottleneck["seconds_per_round"]
    whole = sum(mean.values())
    return [{"cause": cause, "mean_of_a_round": seconds(mean[cause]), "share": percent(mean[cause] / whole)} for cause in mean if whole]


# --- inside -----------------------------------------------------------------------------------------------------


def _alike(classes: Sequence[DeviceClass]) -> list[list[DeviceClass]]:
    """Classes of one group that train the same for the same reason, whatever their numbers of examples."""

    def key(item: DeviceClass) -> tuple[int, str]:
        return item.one.traits.group, item.one.reason

    return [list(alike) for _, alike in groupby(sorted(classes, key=key), key=key)]


def _class_row(fleet: TimedFleet, alike: Sequence[DeviceClass]) -> dict[str, Any]:
    first, scenario = alike[0], fleet.blueprint.scenario
    one, median = first.one, fleet.blueprint.fleet.groups[first.one.traits.group].network
    steps = [fleet.step_cost(first, step) for step in range(1, fleet.own_steps(first) + 1)]
    payload = (8 if scenario.training.precision == "float64" else 4) * (one.plan.trainable_elements(fleet.blueprint.summary))
    shared = (8 if scenario.training.precision == "float64" else 4) * fleet.elements
    return {
        "devices": sum(item.count for item in alike),
        "group": one.traits.group,
        "profile": one.traits.device.name,
        "network": median.name,
        "fits": one.fits,
        "reason": one.reason,
        "scheme": one.plan.scheme if one.fits else None,
        "trainable_parameters": one.plan.trainable_elements(fleet.blueprint.summary) if one.fits else None,
        "memory_budget": int(min(item.one.traits.device.memory for item in alike)),
        "largest_memory_budget": int(max(item.one.traits.device.memory for item in alike)),
        "peak_memory": one.ledger.total_bytes,
        "examples": {"least": min(item.examples for item in alike), "most": max(item.examples for item in alike)},
        "paged_bytes": paged_bytes(one.ledger.total_bytes, one.traits.device) if one.fits else 0,
        "paging_seconds": sum(step.paging for step in steps),
        "step_seconds": steps[0].seconds,
        "compute_seconds": sum(step.seconds for step in steps),
        "download_seconds": median.latency + median.seconds("downlink", shared),
        "upload_seconds": median.latency + median.seconds("uplink", payload),
    }


def _budgets(row: dict[str, Any]) -> str:
    return " to ".join(dict.fromkeys(size(row[key]) for key in ("memory_budget", "largest_memory_budget")))


def _paging_text(row: dict[str, Any]) -> str:
    return f", pages {size(row['paged_bytes'])} a step" if row["paged_bytes"] else ""


def _energy(run: TimedRun) -> dict[str, float | None]:
    """The energy of all, and what it emitted where the scenario says on which grid; None where unknown."""
    spent, factors = planned_energies(run), emission_factors(run.fleet.blueprint.scenario)
    found = {"energy": spent} if factors is None else {"energy": spent, "carbon": spent * factors}
    return {name: None if np.isnan(values).any() else float(values.sum()) for name, values in found.items()}


def _bottleneck(run: TimedRun, times: Sequence[float]) -> dict[str, Any] | None:
    plans = run.fleet.blueprint
    rounds = round_causes(run.trace, times, run.fleet.traits, away_of(plans, run.trace))
    if not rounds:
        return None
    mean: dict[Cause, float] = {cause: sum(seconds.get(cause, 0.0) for _, seconds in rounds) / len(rounds) for cause in CAUSES}
    groups = run.fleet.blueprint.fleet.groups
    names = Counter(None if device is None else groups[run.fleet.traits(device).group].name for device, _ in rounds)
    name, rounds_of_it = max(names.items(), key=lambda item: item[1])
    device, last = rounds[-1]
    return {
        "cause": max(CAUSES, key=lambda cause: mean[cause]),
        "device_class": name,
        "share_of_rounds": rounds_of_it / len(rounds),
        "seconds_per_round": {cause: mean[cause] for cause in CAUSES if mean[cause] > 0},
        "last_round": {"device": device, "cause": max(last, key=lambda cause: last[cause])},
    }


def _notes(scenario: Scenario) -> list[str]:
    notes = []
    if scenario.stop.target_accuracy is not None:
        notes.append("Without learning there is no accuracy: stop.target_accuracy ends no plan, and a run may end earlier.")
    return notes
