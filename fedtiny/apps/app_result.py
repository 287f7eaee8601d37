"""The result of an app's run: the tables of a run, with what FedTiny cannot know of a foreign app left null.

The scheme of every device is `app`; its examples are the most that a reply said it is from, its peak memory the most that its work took.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast, overload

import numpy as np
import pyarrow as pa
import torch
from flwr.app import RecordDict

from fedtiny.apps.foreign_clients import Seen
from fedtiny.apps.work_cost import SOURCES
from fedtiny.attribution import attribution
from fedtiny.battery_results import battery_notes, charges_table, with_batteries
from fedtiny.blueprint import Blueprint
from fedtiny.carbon_results import emissions_summary, with_emissions
from fedtiny.fleet.enrolled import AnyFleet
from fedtiny.fleet.fleet import Traits
from fedtiny.preparation import World
from fedtiny.randomness import Streams
from fedtiny.recording import Version, activities_of, devices_table, labels_table, rounds_table
from fedtiny.results.metrics import run_summary
from fedtiny.results.record import MemoryNeed, RunResult
from fedtiny.scenario.app_citations import app_citations
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.trace import Trace
from fedtiny.training.local import Examples

SCHEME: Final = "app"


@dataclass
class AppHistory:
    """What happened in an app's run."""

    scenario: AppScenario
    streams: Streams
    fleet: AnyFleet
    trace: Trace
    seen: Seen = field(default_factory=Seen)
    versions: list[Version] = field(default_factory=list)
    last_arrays: RecordDict = field(default_factory=RecordDict)
    end: float = 0.0
    threads: int = 0
    """How many threads of the server app sent messages or waited for replies."""


def app_result(history: AppHistory) -> RunResult:
    """The run as a RunResult; its `provenance` is left to whoever knows the time of day."""
    scenario, trace, versions = cast(Scenario, history.scenario), history.trace, history.versions
    world = cast(World, _World(history))
    activities = activities_of(world, trace, {version.round: version.virtual_time for version in versions}, history.end)
    devices = with_emissions(with_batteries(devices_table(world, activities), trace), scenario)
    where = attribution(world.blueprint, trace, [version.virtual_time for version in versions], activities.stalls)
    rounds = _without_unknown_losses(rounds_table(world, trace, versions, activities, where.rounds))
    return RunResult(
        name=scenario.name,
        status="done",
        scenario_yaml=_resolved(history.scenario),
        rounds=rounds,
        activities=activities,
        devices=devices,
        labels=labels_table(versions),
        critical_path=where.critical_path,
        charges=charges_table(trace),
        attribution=where.document,
        model=dict(_tensors(history.last_arrays)),
        summary={
            **run_summary(rounds, devices, None),
            "lost_mass": None,
            **where.summary,
            **emissions_summary(world, trace, versions, activities),
            **{f"work_{source.replace(' ', '_')}": history.seen.sources[source] for source in SOURCES},
        },
        citations=app_citations(history.scenario),
        notes=list(_notes(history)),
        memory=list(_memory(history)),
    )


def _resolved(scenario: AppScenario) -> str:
    from fedtiny.scenario.files import resolved_yaml

    return resolved_yaml(cast(Scenario, scenario))


def _without_unknown_losses(rounds: pa.Table) -> pa.Table:
    loss = rounds["loss"].to_numpy(zero_copy_only=False).astype(np.float64)
    return rounds.set_column(rounds.schema.get_field_index("loss"), rounds.schema.field("loss"), pa.array(loss, mask=np.isnan(loss)))


def _tensors(content: RecordDict) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of a content by name, of several records with the record's name before it; only numbers, as Flower encodes them."""
    records = content.array_records
    for name, record in records.items():
        for key, array in record.items():
            if array.stype == "numpy.ndarray" and (value := array.numpy()).dtype.kind in "fiub":
                yield key if len(records) == 1 else f"{name}.{key}", value


def _notes(history: AppHistory) -> Iterator[str]:
    seen = history.seen
    used = [f"{seen.sources[source]} {source}" for source in SOURCES if seen.sources[source]]
    if used:
        yield f"What the app's work costs, by pieces of work: {', '.join(used)} (docs/guides/flower_apps.md)."
    if seen.sources["host time"]:
        yield (
            "The time of some work is what it took on this machine, so two runs of this scenario differ: declare it under `app`, or let "
            "the app report fedtiny.seconds."
        )
    if seen.out_of_memory:
        yield (
            f"{sum(seen.out_of_memory.values())} pieces of work on {len(seen.out_of_memory)} devices did not fit the memory; the server "
            "got Flower's error of a ClientApp that was killed."
        )
    if history.threads > 1:
        yield (
            f"{history.threads} threads of the server app used the grid. They took turns, so times are later than those of threads that "
            "wait together, and differ between runs."
        )
    if any(version.quality for version in history.versions):
        yield "Accuracy and loss are what clients reported of their own data, weighted by their examples."
    if history.last_arrays.array_records:
        yield "The model is the arrays that the server sent last."
    yield from battery_notes(history.trace.batteries)


def _memory(history: AppHistory) -> Iterator[MemoryNeed]:
    """The most that the work took on any device of each fleet entry."""
    numbers = np.array(sorted(history.seen.memory), dtype=np.int64)
    groups = history.fleet.groups_of(numbers) if len(numbers) else numbers
    for group in np.unique(groups).tolist():
        own = numbers[groups == group].tolist()
        number = max(own, key=lambda device: history.seen.memory[device])
        device, total = history.fleet[number].device, history.seen.memory[number]
        yield MemoryNeed(
            profile=device.name,
            group=group,
            scheme=SCHEME,
            budget=int(device.memory),
            total_bytes=total,
            items={"app": total},
            fits=total <= device.memory,
        )


# --- as much of a `preparation.World` as the tables are made from ---------------------------------------------------


@dataclass(frozen=True)
class _Strategy:
    timeout: None = None


@dataclass(frozen=True)
class _Scenario:
    """What the tables ask a scenario for."""

    fleet: Any
    carbon_intensity: Any
    strategy: _Strategy = _Strategy()


@dataclass(frozen=True)
class _Blueprint:
    scenario: _Scenario
    streams: Streams
    fleet: AnyFleet


@dataclass(frozen=True)
class _Plan:
    scheme: str = SCHEME


@dataclass(frozen=True)
class _Ledger:
    total_bytes: int | None


@dataclass(frozen=True)
class _Batches:
    indices: range


@dataclass(frozen=True)
class _Participant:
    traits: Traits
    batches: _Batches
    ledger: _Ledger
    fits: bool
    reason: str
    plan: _Plan = _Plan()
    downgraded: bool = False


@dataclass(frozen=True)
class _Participants(Sequence[_Participant]):
    history: AppHistory

    def __len__(self) -> int:
        return len(self.history.fleet)

    @overload
    def __getitem__(self, place: int) -> _Participant: ...

    @overload
    def __getitem__(self, place: slice) -> list[_Participant]: ...

    def __getitem__(self, place: int | slice) -> _Participant | list[_Participant]:
        numbers = range(len(self))[place]
        return self._made(numbers) if isinstance(numbers, int) else [self._made(number) for number in numbers]

    def _made(self, number: int) -> _Participant:
        seen = self.history.seen
        fits = seen.out_of_memory[number] == 0 or seen.out_of_memory[number] < seen.messages[number]
        reason = "what the app does" if fits else "its work does not fit the memory"
        examples = _Batches(range(seen.examples.get(number, 0)))
        return _Participant(self.history.fleet[number], examples, _Ledger(seen.memory.get(number)), fits, reason)


@dataclass(frozen=True)
class _World:
    history: AppHistory

    @property
    def blueprint(self) -> Blueprint:
        history = self.history
        scenario = _Scenario(history.scenario.fleet, history.scenario.carbon_intensity)
        return cast(Blueprint, _Blueprint(scenario, history.streams, history.fleet))

    @property
    def train(self) -> Examples:
        """No examples, and targets of which nobody says that they are classes."""
        return Examples(torch.zeros(0), torch.zeros(0))

    @property
    def participants(self) -> _Participants:
        return _Participants(self.history)

    @property
    def included(self) -> _Participants:
        return self.participants
