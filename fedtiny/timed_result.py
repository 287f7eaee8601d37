"""The result of a run without learning: the tables of a run with null accuracy and loss, and a model without tensors.

What depends on the content of data or vectors is null too: the labels that a device holds, and the mass of lost contributions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import cast, overload

import torch

from fedtiny.attribution import attribution
from fedtiny.battery_results import battery_notes, charges_table, with_batteries
from fedtiny.blueprint import Blueprint
from fedtiny.carbon_results import emissions_summary, with_emissions
from fedtiny.device_classes import TimedFleet
from fedtiny.federation.grid import Participation
from fedtiny.flash_results import with_flash
from fedtiny.participation import Participant, memory_needs, paging_sentences
from fedtiny.population_classes import population_counts
from fedtiny.preparation import World
from fedtiny.recording import Version, activities_of, devices_table, rounds_table
from fedtiny.results.metrics import run_summary
from fedtiny.results.record import RunResult
from fedtiny.scenario.citations import citations_of
from fedtiny.scenario.files import resolved_yaml
from fedtiny.timing_run import TimedRun
from fedtiny.training.local import Examples


def timed_result(run: TimedRun) -> RunResult:
    """The run as a RunResult; its `provenance` is left to whoever knows the time of day."""
    scenario = run.fleet.blueprint.scenario
    world = cast(World, _TimedWorld(run.fleet))
    versions = [_version(run, place) for place in range(len(run.versions))]
    activities = activities_of(world, run.trace, {version.round: version.virtual_time for version in versions}, run.end)
    devices = with_flash(with_emissions(with_batteries(devices_table(world, activities), run.trace), scenario), world)
    where = attribution(run.fleet.blueprint, run.trace, [version.virtual_time for version in versions], activities.stalls)
    rounds = rounds_table(world, run.trace, versions, activities, where.rounds)
    return RunResult(
        name=scenario.name,
        status="done",
        scenario_yaml=resolved_yaml(scenario),
        rounds=rounds,
        activities=activities,
        devices=devices,
        model={},
        critical_path=where.critical_path,
        charges=charges_table(run.trace),
        attribution=where.document,
        summary={
            **run_summary(rounds, devices, None),
            "lost_mass": None,
            **where.summary,
            **emissions_summary(world, run.trace, versions, activities),
        },
        citations=citations_of(scenario),
        notes=list(_notes(run)),
        memory=memory_needs([item.one for item in run.fleet.classes]),
        population=population_counts(run.fleet.blueprint, [(item.one, item.count) for item in run.fleet.classes], devices),
    )


def _version(run: TimedRun, place: int) -> Version:
    version = run.versions[place]
    came = Participation(version.participation.participants, version.participation.failures)
    return Version(version.round, version.virtual_time, came, None, version.bytes_up, version.bytes_down, version.begun, version.delay)


def _notes(run: TimedRun) -> Iterator[str]:
    yield "Learning: none. Times, bytes and joules are those of a run that learns, up to the same round; nothing was trained or evaluated."
    if run.fleet.blueprint.scenario.stop.target_accuracy is not None:
        yield "stop.target_accuracy ends no run without learning; a run that learns may end earlier."
    yield from (f"{sentence}." for sentence in paging_sentences([(item.one, item.count) for item in run.fleet.classes]))
    yield from battery_notes(run.trace.batteries)
    devices = sum(item.count for item in run.fleet.classes)
    excluded = devices - sum(item.count for item in run.fleet.included)
    if excluded:
        yield f"Training does not fit {excluded} of {devices} devices; they and their data take no part."


@dataclass(frozen=True)
class _Participants(Sequence[Participant]):
    """Devices as participants, made when they are asked for."""

    fleet: TimedFleet
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Participant: ...

    @overload
    def __getitem__(self, place: slice) -> list[Participant]: ...

    def __getitem__(self, place: int | slice) -> Participant | list[Participant]:
        if isinstance(place, slice):
            return [self._made(number) for number in self.numbers[place]]
        return self._made(self.numbers[place])

    def _made(self, number: int) -> Participant:
        return self.fleet.participant(number)


@dataclass(frozen=True)
class _TimedWorld:
    """As much of a `preparation.World` as the tables are made from."""

    fleet: TimedFleet

    @property
    def blueprint(self) -> Blueprint:
        return self.fleet.blueprint

    @cached_property
    def train(self) -> Examples:
        """No examples, and targets of which nobody says that they are classes."""
        return Examples(torch.zeros(0), torch.zeros(0))

    @property
    def participants(self) -> _Participants:
        return _Participants(self.fleet, range(len(self.fleet.blueprint.fleet)))

    @property
    def included(self) -> _Participants:
        return _Participants(self.fleet, self.fleet.numbers)
