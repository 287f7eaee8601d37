"""From the trace of a run to the tables of its result.

Waiting, energy and cumulative sums are computed here, after the run, from what the simulation recorded. A transfer costs
its bytes times the network's joules per byte, where they are known (a note says where not); work and waiting cost the
device's power, and a device whose power is not known has no energy, nor has a fleet it belongs to.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import numpy as np
import pyarrow as pa

from fedtiny.costs.energy import compute_energy, transfer_energy, waiting_energy
from fedtiny.federation.grid import Participation
from fedtiny.fleet.fleet import Traits
from fedtiny.participation import Participant
from fedtiny.preparation import World
from fedtiny.results.metrics import cumulative_energy, run_summary
from fedtiny.results.record import ACTIVITIES, DEVICES, LABELS, ROUNDS
from fedtiny.simulation.trace import Activity, Trace, waiting
from fedtiny.training.evaluation import Quality


@dataclass(frozen=True)
class Version:
    """One version of the global model: when the server held it, who made it, what it is worth (None: not evaluated)."""

    round: int
    virtual_time: float
    participation: Participation
    quality: Quality | None
    bytes_up: int
    bytes_down: int
    """Bytes of the transfers that had ended when the version was made, by cause and not by clock: what the server sends
    in reaction to a version is never counted to it, even over a link that takes no time."""
    begun: int
    """How many activities had begun when the version was made, by cause too."""


def activities_table(world: World, trace: Trace, versions: Mapping[int, float], end: float) -> pa.Table:
    """All activities in the order of their start, waiting included; `versions` maps rounds to the time of their version."""
    included = {participant.traits.number: participant.traits for participant in world.included}
    waits = waiting(trace, versions, included, end)
    activities = sorted([*trace.activities, *waits], key=lambda activity: (activity.start, activity.device, activity.kind))
    columns: dict[str, list[Any]] = {name: [] for name in ACTIVITIES.names}
    for activity in activities:
        columns["device"].append(activity.device)
        columns["round"].append(None if activity.kind in ("idle", "offline") else activity.round)
        for name in ("kind", "start", "end", "arrival", "bytes", "payload_bytes", "macs", "outcome"):
            columns[name].append(getattr(activity, name))
        columns["energy"].append(_energy(activity, included[activity.device]))
    return pa.table(columns, schema=ACTIVITIES)


def _energy(activity: Activity, traits: Traits) -> float | None:
    seconds, network = activity.end - activity.start, traits.network
    match activity.kind:
        case "train" | "evaluate":
            return compute_energy(traits.device.power, seconds)
        case "stall" | "idle":
            return waiting_energy(traits.device.power, seconds)
        case "download":
            return transfer_energy(activity.bytes, network.energy_down) or 0.0
        case "upload":
            return transfer_energy(activity.bytes, network.energy_up) or 0.0
        case "offline":
            return 0.0


def rounds_table(world: World, trace: Trace, versions: Sequence[Version], activities: pa.Table) -> pa.Table:
    """One row per version of the global model."""
    times = np.asarray([version.virtual_time for version in versions])
    fleet = {participant.traits.number: participant.traits for participant in world.participants}
    energy = cumulative_energy(activities, times) - [_set_off(trace, fleet, version) for version in versions]
    return pa.table(
        {
            "round": [version.round for version in versions],
            "virtual_time": times,
            "accuracy": [version.quality.accuracy if version.quality else None for version in versions],
            "loss": [version.quality.loss if version.quality else None for version in versions],
            "participants": [version.participation.participants for version in versions],
            "failures": [version.participation.failures for version in versions],
            "bytes_up": [version.bytes_up for version in versions],
            "bytes_down": [version.bytes_down for version in versions],
            "energy": [None if np.isnan(joules) else float(joules) for joules in energy],
            "bottleneck_device": [None] * len(versions),
            "bottleneck_cause": [None] * len(versions),
        },
        schema=ROUNDS,
    )


def labels_table(versions: Sequence[Version]) -> pa.Table:
    """One row per evaluated version and label."""
    rows = [
        {"round": version.round, "label": label, "examples": examples, "correct": correct}
        for version in versions
        if version.quality is not None
        for label, (examples, correct) in enumerate(version.quality.labels)
    ]
    return pa.Table.from_pylist(rows, schema=LABELS)


def _set_off(trace: Trace, fleet: Mapping[int, Traits], version: Version) -> float:
    """Joules of what a version set off and what was over at once, over links that take no time."""
    later = (trace.activities[index] for index in range(version.begun, len(trace.activities)))
    at_once = takewhile(lambda activity: activity.start <= version.virtual_time, later)
    return sum(_energy(activity, fleet[activity.device]) or 0.0 for activity in at_once if activity.end <= version.virtual_time)


def devices_table(world: World, activities: pa.Table) -> pa.Table:
    """One row per device of the fleet."""
    sums = _sums(activities.select(["device", "round", "kind", "start", "end", "energy", "outcome"]).to_pylist())
    rows = [_device_row(world, participant, sums.get(participant.traits.number, _Sums())) for participant in world.participants]
    return pa.Table.from_pylist(rows, schema=DEVICES)


@dataclass
class _Sums:
    """One device's activities added up."""

    rounds: set[int] = field(default_factory=set)
    stall: float = 0.0
    idle: float = 0.0
    energy: float | None = 0.0


def _sums(rows: Iterable[Mapping[str, Any]]) -> dict[int, _Sums]:
    result: dict[int, _Sums] = {}
    for row in rows:
        sums = result.setdefault(row["device"], _Sums())
        seconds = row["end"] - row["start"]
        sums.stall += seconds * (row["kind"] == "stall")
        sums.idle += seconds * (row["kind"] == "idle")
        sums.energy = None if sums.energy is None or row["energy"] is None else sums.energy + row["energy"]
        if row["kind"] == "train" and row["outcome"] == "done":
            sums.rounds.add(row["round"])
    return result


def _device_row(world: World, participant: Participant, sums: _Sums) -> dict[str, Any]:
    traits = participant.traits
    trained = ("downgraded" if participant.downgraded else "trained") if sums.rounds else "unused"
    return {
        "device": traits.number,
        "group": traits.group,
        "profile": traits.device.name,
        "network": traits.network.name,
        "scheme": participant.plan.scheme if participant.fits else None,
        "scheme_reason": participant.reason,
        "examples": len(participant.batches.indices),
        "label_examples": _label_examples(world, participant),
        "memory_budget": int(traits.device.memory),
        "peak_memory": participant.ledger.total_bytes,
        "status": trained if participant.fits else "excluded",
        "rounds": len(sums.rounds),
        "stall_time": sums.stall,
        "idle_time": sums.idle,
        "energy": sums.energy if traits.device.power is not None else None,
    }


def _label_examples(world: World, participant: Participant) -> list[int] | None:
    targets = world.train.targets
    if targets.is_floating_point():
        return None
    own = targets.numpy()[participant.batches.indices]
    return [int(count) for count in np.bincount(own, minlength=world.blueprint.facts.classes)]


def summary_of(rounds: pa.Table, devices: pa.Table, target: float | None, lost_mass: float) -> dict[str, Any]:
    """The run in numbers."""
    return {**run_summary(rounds, devices, target), "lost_mass": lost_mass}
