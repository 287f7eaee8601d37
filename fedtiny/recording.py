"""From the trace of a run to the tables of its result.

Waiting, energy and cumulative sums are computed here, after the run, from what the simulation recorded. A transfer costs
its bytes times the network's joules per byte, where they are known (a note says where not); work and waiting cost the
device's power, and a device whose power is not known has no energy, nor has a fleet it belongs to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedtiny.blueprint import Blueprint
from fedtiny.federation.grid import Participation
from fedtiny.fleet.enrolled import EnrolledDevices
from fedtiny.participation import Participant
from fedtiny.preparation import World
from fedtiny.recorded_activities import RecordedActivities, energies, recorded_activities
from fedtiny.results.activities import ROWS_AT_ONCE, Activities, whole
from fedtiny.results.metrics import cumulative_energy, floats, run_summary
from fedtiny.results.record import ACTIVITIES, DEVICES, LABELS, ROUNDS
from fedtiny.simulation.absences import AwayUntil, emptied, united
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import DONE, IDLE, KINDS, OUTCOMES, STALL, TRAIN, Trace
from fedtiny.training.evaluation import Quality

LISTED_WHOLE: Final = 100_000
"""The largest fleet all of whose devices are listed; of a larger one, only the devices that the server sent a message to."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


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
    delay: int | None = None
    """D of the round in local steps; None for strategies without one."""


def activities_of(world: World, trace: Trace, versions: Mapping[int, float], end: float) -> RecordedActivities:
    """All activities in the order of their start, waiting included; `versions` maps rounds to the time of their version (s)."""
    listed = np.array(_listed(world, trace.asked.arrays()[0], included=True), dtype=np.int64)
    return recorded_activities(world.blueprint.fleet, trace, versions, listed, end, away_of(world.blueprint, trace))


def away_of(plans: Blueprint, trace: Trace) -> AwayUntil:
    """When the devices of a scenario were not there in a run: by their availability, or because their batteries were empty."""
    timetable = RollCall(plans.scenario.fleet, plans.streams, ())
    if not trace.batteries:
        return timetable.away
    empty = emptied(trace.batteries)
    return lambda devices, end: united(timetable.away(devices, end), empty, devices, end)


def anybody_leaves(plans: Blueprint, trace: Trace) -> bool:
    """Whether a device of a scenario is ever away, by its availability or because it lives on a battery."""
    return bool(trace.batteries) or RollCall(plans.scenario.fleet, plans.streams, ()).changes


def activities_table(world: World, trace: Trace, versions: Mapping[int, float], end: float) -> pa.Table:
    """The same as a table."""
    return whole(activities_of(world, trace, versions, end), ACTIVITIES)


def _listed(world: World, reached: NDArray[np.int32] | Integers, *, included: bool) -> Sequence[int]:
    """The devices that tables list, ascending: of a population or a large fleet of groups those that a message reached; `included`: only
    who takes part."""
    if len(world.participants) > LISTED_WHOLE or isinstance(world.blueprint.fleet, EnrolledDevices):
        return [int(number) for number in np.unique(reached)]
    return [participant.traits.number for participant in (world.included if included else world.participants)]


def rounds_table(
    world: World,
    trace: Trace,
    versions: Sequence[Version],
    activities: Activities,
    waited_for: Sequence[tuple[int | None, str | None]] | None = None,
) -> pa.Table:
    """One row per version of the global model; `waited_for` is the bottleneck's device and cause of each, null where they are not given."""
    waited_for = [(None, None)] * len(versions) if waited_for is None else waited_for
    times = np.asarray([version.virtual_time for version in versions])
    energy = cumulative_energy(activities, times) - set_off(world, trace, versions)
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
            "bottleneck_device": [device for device, _ in waited_for],
            "bottleneck_cause": [cause for _, cause in waited_for],
            "delay": [version.delay for version in versions],
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


def set_off(world: World, trace: Trace, versions: Sequence[Version], factors: Floats | None = None) -> Floats:
    """Joules of what each version set off and what was over at once, over links that take no time, (versions,).

    `factors` of the groups (groups,) make something else of joules.
    """
    columns, fleet = trace.columns(), world.blueprint.fleet
    result = []
    for version in versions:
        until = int(np.searchsorted(columns.start, version.virtual_time, "right"))
        later = slice(version.begun, max(version.begun, until))
        rows = np.arange(later.start, later.stop)[columns.end[later] <= version.virtual_time]
        seconds = columns.end[rows] - columns.start[rows]
        joules = energies(fleet, columns.device[rows], columns.kind[rows], seconds, columns.amount[rows])
        joules = joules if factors is None else joules * factors[fleet.groups_of(columns.device[rows].astype(np.int64))]
        result.append(sum(np.nan_to_num(joules, nan=0.0).tolist()))
    return np.array(result)


def devices_table(world: World, activities: Activities) -> pa.Table:
    """One row per device of the fleet; of a population or a fleet above LISTED_WHOLE, per device that a message reached."""
    listed = np.array(_listed(world, _devices_of(activities), included=False), dtype=np.int64)
    sums = _sums(activities, listed)
    columns: dict[str, list[Any]] = {name: [] for name in DEVICES.names}
    for place, number in enumerate(listed.tolist()):
        for name, value in _device_row(world, world.participants[number], sums, place).items():
            columns[name].append(value)
    return pa.table(columns, schema=DEVICES)


def _devices_of(activities: Activities) -> Integers:
    parts = [np.unique(batch["device"].to_numpy()) for batch in activities.to_batches(ROWS_AT_ONCE)]
    return np.unique(np.concatenate([np.zeros(0, np.int64), *parts]))


@dataclass(frozen=True)
class _Sums:
    """Every device's activities added up, each array (devices,); energy is nan where it is not known."""

    rounds: Integers
    stall: Floats
    idle: Floats
    energy: Floats


def _sums(activities: Activities, listed: Integers) -> _Sums:
    """Added up for the listed devices (ascending), of which every activity's is one."""
    stall, idle, energy = (np.zeros(len(listed)) for _ in range(3))
    trained: list[Integers] = []
    for batch in activities.to_batches(ROWS_AT_ONCE):
        kind, place = _codes(batch["kind"], KINDS), np.searchsorted(listed, batch["device"].to_numpy())
        seconds = batch["end"].to_numpy() - batch["start"].to_numpy()
        # added one by one and not in parts, so that sums do not depend on where batches end
        np.add.at(stall, place[kind == STALL], seconds[kind == STALL])
        np.add.at(idle, place[kind == IDLE], seconds[kind == IDLE])
        np.add.at(energy, place, floats(pa.Table.from_batches([batch]), "energy"))
        done = (kind == TRAIN) & (_codes(batch["outcome"], OUTCOMES) == DONE)
        rounds = batch["round"].fill_null(-1).to_numpy(zero_copy_only=False)[done]
        trained.append((place[done] << 32) | (rounds + 1))
    pairs = np.unique(np.concatenate([np.zeros(0, np.int64), *trained]))
    return _Sums(np.bincount(pairs >> 32, minlength=len(listed)), stall, idle, energy)


def _codes(column: pa.Array, names: Sequence[str]) -> NDArray[np.int8]:
    """The place of every name in `names`."""
    encoded = column.dictionary_encode()
    places = np.array([names.index(name) for name in encoded.dictionary.to_pylist()], dtype=np.int8)
    return np.asarray(places[encoded.indices.to_numpy()], dtype=np.int8)


def _device_row(world: World, participant: Participant, sums: _Sums, place: int) -> dict[str, Any]:
    traits = participant.traits
    trained = ("downgraded" if participant.downgraded else "trained") if sums.rounds[place] else "unused"
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
        "rounds": int(sums.rounds[place]),
        "stall_time": float(sums.stall[place]),
        "idle_time": float(sums.idle[place]),
        "energy": None if traits.device.power is None or np.isnan(sums.energy[place]) else float(sums.energy[place]),
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
