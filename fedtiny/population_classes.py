"""Who of a population takes part and trains what: decided for classes of devices that are alike, and for a device when it is asked for.

Devices of a population are alike where they are of one member, have one memory budget and train batches of one size; where a round may
take so long and no longer (`update.round_time`), their speeds must lie between the same two of those that a candidate needs,

    s_c = K t_c / (round_time - K p_c)

t_c being the seconds in which the member's median device computes a step of candidate c, and p_c those in which it pages. So a million
devices are at most as many classes as there are budgets, times the candidates where time counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Final, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedtiny.alike_devices import DeviceClass
from fedtiny.blueprint import Blueprint, blueprint, memory_on, training_ledger
from fedtiny.costs.paging import paging_seconds
from fedtiny.costs.step import StepCost, step_cost
from fedtiny.datasets.with_replacement import WithReplacement
from fedtiny.fleet.enrolled import EnrolledDevices, normals
from fedtiny.fleet.random_table import RandomTable
from fedtiny.participation import Participant, assigned, decide_counted
from fedtiny.results.record import PopulationClass
from fedtiny.training.batches import Batches
from fedtiny.training.pace import EQUAL, Pace, median_seconds
from fedtiny.updates.automatic import Automatic

Integers = NDArray[np.int64]
Draw = Callable[[int, int], Integers]
"""(number of a device, how many examples it has) -> which: sorted positions in the training set."""

GROUP: Final = 0
"""A population is the only group of its fleet."""
_MOST_KEPT: Final = 1 << 14
_PACERS: Final = 10_000
"""The median step time, to which devices take their steps in proportion, is that of so many devices: the first ones."""


class PopulationClasses:
    """The classes of a population; `draw` gives the examples of a device, left out: only their number is known."""

    def __init__(self, plans: Blueprint, fleet: EnrolledDevices, recipe: WithReplacement, draw: Draw | None = None) -> None:
        self.plans, self.fleet = plans, fleet
        self._draw = draw
        self._examples = _examples(fleet, recipe)
        self._ledger = lru_cache(_MOST_KEPT)(lambda place, size: training_ledger(plans, plans.candidates[place].plan, size))
        self._cost = lru_cache(_MOST_KEPT)(self._step_cost)
        codes = self._codes()
        _, first, self._place, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        ones = assigned(plans, [self.batches(number) for number in first.tolist()], [fleet[number] for number in first.tolist()])
        self.classes = [
            DeviceClass(one.traits.number, count, len(one.batches.indices), one.batches.batch_size, one)
            for one, count in zip(ones, counts.tolist(), strict=True)
        ]
        self._fits = np.array([item.one.fits for item in self.classes])

    def place_of(self, number: int) -> int:
        """The place of a device's class in `classes`."""
        return int(self._place[number])

    def places_of(self, numbers: Integers) -> Integers:
        """The places of several devices' classes, (devices,)."""
        return np.asarray(self._place[numbers], dtype=np.int64)

    def takes_part(self, number: int) -> bool:
        """Whether there is such a device, and training fits it."""
        return 0 <= number < len(self.fleet) and bool(self._fits[self._place[number]])

    def examples_of(self, number: int) -> int:
        """How many examples a device has."""
        return int(self._examples[number])

    def speed_of(self, number: int) -> float:
        """How many times as fast as its profile a device computes."""
        return float(self.fleet.speeds(np.array([number]))[0])

    @property
    def most_examples(self) -> int:
        """How many examples the device with the most of them has."""
        return int(self._examples.max())

    @cached_property
    def numbers(self) -> Sequence[int]:
        """The devices that take part, ascending."""
        return range(len(self.fleet)) if self._fits.all() else Numbers(np.flatnonzero(self._fits[self._place]))

    def batches(self, number: int) -> Batches:
        """The batches of a device; only their sizes mean something where examples are not drawn."""
        examples, wanted = self.examples_of(number), self.plans.scenario.training.batch_size
        indices = np.broadcast_to(np.int64(0), examples) if self._draw is None else self._draw(number, examples)
        return Batches(indices, examples if wanted == "all" else wanted, self.plans.streams, ("group", GROUP, "device", number))

    def participant(self, number: int) -> Participant:
        """A device with its examples and what it trains."""
        traits, batches = self.fleet[number], self.batches(number)
        if self._round_time is not None:
            # why it trains this says how long its own round would take
            return assigned(self.plans, [batches], [traits], self._ledger)[0]
        return replace(self.classes[self.place_of(number)].one, traits=traits, batches=batches)

    def cost(self, place: int, batch_size: int) -> StepCost:
        """What a step on a batch costs the median device of a class."""
        cost: StepCost = self._cost(place, batch_size)
        return cost

    def pace_of(self, number: int, speed: float | None = None) -> Pace:
        """The pace of a device, as it is or at another speed."""
        wanted = self.plans.scenario.training.pace
        if wanted == "equal":
            return EQUAL
        own = self.speed_of(number) if speed is None else speed
        return Pace(self._typical_seconds / self._seconds(number, own), wanted == "by_speed_normalized")

    @cached_property
    def _typical_seconds(self) -> float:
        numbers = np.arange(min(_PACERS, len(self.fleet)))
        pairs = zip(numbers.tolist(), self.fleet.speeds(numbers).tolist(), strict=True)
        return median_seconds([(self._seconds(number, speed), int(self.takes_part(number))) for number, speed in pairs])

    def _seconds(self, number: int, speed: float) -> float:
        place, examples = self.place_of(number), self.examples_of(number)
        return self.cost(place, min(self.classes[place].batch_size, examples)).at(speed).seconds

    def _step_cost(self, place: int, batch_size: int) -> StepCost:
        plans, one = self.plans, self.classes[place].one
        return step_cost(plans.summary, one.plan, batch_size, one.traits.device, memory_on(plans, one.plan, batch_size, one.traits.device))

    @property
    def _round_time(self) -> float | None:
        update = self.plans.scenario.update
        return update.round_time if isinstance(update, Automatic) else None

    def _codes(self) -> Integers:
        """A number for every device that is the same for devices that are alike."""
        most = max(len(member.profiles) for member in self.fleet.members)
        codes = self.fleet.member_of.astype(np.int64) * most + self.fleet.budget_of
        if self.plans.scenario.training.batch_size == "all":
            codes = codes * (self.most_examples + 1) + self._examples
        if self._round_time is None:
            return codes
        _, first, place = np.unique(codes, return_index=True, return_inverse=True)
        speeds = self.fleet.speeds(np.arange(len(self.fleet)))
        bands = np.zeros(len(self.fleet), dtype=np.int64)
        for position, number in enumerate(first.tolist()):
            alike = place == position
            bands[alike] = np.searchsorted(self._needed_speeds(number, self._round_time), speeds[alike], side="right")
        return codes * (len(self.plans.candidates) + 1) + bands

    def _needed_speeds(self, number: int, round_time: float) -> list[float]:
        """The speeds that the candidates need in a device like this one, ascending."""
        device, steps = self.fleet[number].device, self.plans.scenario.training.local_steps
        size = self.batches(number).batch_size
        needed = []
        for place, candidate in enumerate(self.plans.candidates):
            left = round_time - steps * paging_seconds(self._ledger(place, size).total_bytes, device)
            seconds = step_cost(self.plans.summary, candidate.plan, size, device, 0).computing
            needed.append(steps * seconds / left if left > 0 else np.inf)
        return sorted(needed)


def population_counts(plans: Blueprint, counted: Sequence[tuple[Participant, int]], devices: pa.Table) -> list[PopulationClass]:
    """How many devices of each class a population has, from (a device, how many are like it) and the table of those that a message
    reached; none for a fleet of groups."""
    if not isinstance(plans.fleet, EnrolledDevices):
        return []
    groups = range(len(plans.fleet.groups))
    reached = np.bincount(devices["group"].to_numpy(), minlength=len(groups))
    return [
        PopulationClass(
            group=group,
            profile=plans.fleet.groups[group].device.name,
            network=plans.fleet.groups[group].network.name,
            devices=sum(count for one, count in counted if one.traits.group == group),
            taking_part=sum(count for one, count in counted if one.traits.group == group and one.fits),
            reached=int(reached[group]),
        )
        for group in groups
    ]


def population_classes(plans: Blueprint, draw: Draw | None = None, *, allow_code: bool = False) -> PopulationClasses:
    """The classes of a scenario's population, and the blueprint for what they train: without lite residual modules where they are only
    for an update that turns out to fit nobody. Raises what `participation.decide` raises."""
    found = _classes(plans, draw)
    used = any(item.one.candidate.update.trains_lite_residual for item in found.classes if item.one.fits)
    if len(plans.candidates) > 1 and plans.carries_lite_residual_for_an_update and not used:
        found = _classes(blueprint(plans.scenario, allow_code=allow_code, without_lite_residual=True), draw)
    decide_counted(plans.scenario, [(item.one, item.count) for item in found.classes])
    return found


def _classes(plans: Blueprint, draw: Draw | None) -> PopulationClasses:
    recipe, fleet = plans.scenario.data.partition, plans.fleet
    assert isinstance(recipe, WithReplacement), "checked with the scenario"
    assert isinstance(fleet, EnrolledDevices), "a population"
    return PopulationClasses(plans, fleet, recipe, draw)


def _examples(fleet: EnrolledDevices, recipe: WithReplacement) -> NDArray[np.int32]:
    """How many examples every device has, (devices,)."""
    if recipe.sigma == 0:
        return np.full(len(fleet), recipe.numbers(np.zeros(1))[0], dtype=np.int32)
    devices = np.arange(len(fleet), dtype=np.int64)
    table = RandomTable(fleet.streams, "group", GROUP, "examples")
    return recipe.numbers(normals(table, devices, np.zeros_like(devices))).astype(np.int32)


@dataclass(frozen=True, eq=False)
class Numbers(Sequence[int]):
    """Whole numbers of an array, as Python's own."""

    array: Integers

    def __len__(self) -> int:
        """How many there are."""
        return len(self.array)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> list[int]: ...

    def __getitem__(self, place: int | slice) -> int | list[int]:
        """The number at this place; of a slice, a list."""
        return self.array[place].tolist() if isinstance(place, slice) else int(self.array[place])

    def __iter__(self) -> Iterator[int]:
        """All of them."""
        return iter(self.array.tolist())
