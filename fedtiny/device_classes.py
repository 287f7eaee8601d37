"""The devices of a fleet by classes that are alike: what they train, whether it fits, and what their steps cost.

A class is a stretch of devices of one group with as many examples each, so that what holds for one holds for all: a million
devices of one group with equal shares of the data are one class, or two where the examples do not divide evenly. Nothing here
takes time or memory for every device, unless the partition of the data does.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from fedtiny.alike_devices import DeviceClass, Enrolled
from fedtiny.blueprint import Blueprint, blueprint, memory_on
from fedtiny.costs.step import StepCost, step_cost, total_cost
from fedtiny.datasets.partition import Iid
from fedtiny.datasets.partition_family import KnownOfClients, check_enough
from fedtiny.datasets.synthetic import Synthetic
from fedtiny.design.pretraining import public_count, shares_of
from fedtiny.fleet.enrolled import EnrolledDevices
from fedtiny.fleet.fleet import GroupMembers, Members, Traits
from fedtiny.participation import Participant, assigned, decide_counted, paces_of
from fedtiny.population_classes import PopulationClasses, population_classes
from fedtiny.scenario.schema import Scenario
from fedtiny.training.batches import Batches
from fedtiny.training.pace import Pace
from fedtiny.updates.plan import UpdatePlan

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class TimedFleet:
    """Everything about a scenario that its timing depends on."""

    blueprint: Blueprint
    classes: list[DeviceClass]
    population: PopulationClasses | None = None
    """Of a population, who is of which class and what each device has of its own."""
    _starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", [item.first for item in self.classes])

    def traits(self, number: int) -> Traits:
        """The device with this running number."""
        return self.blueprint.fleet[number]

    def place_of(self, number: int) -> int:
        """The place of a device's class in `classes`."""
        if self.population is not None:
            return self.population.place_of(number)
        return 0 if len(self.classes) == 1 else bisect_right(self._starts, number) - 1

    def places_of(self, numbers: Integers) -> Integers:
        """The places of several devices' classes, (devices,)."""
        if self.population is not None:
            return self.population.places_of(numbers)
        return np.searchsorted(self._starts, numbers, side="right") - 1

    def participant(self, number: int) -> Participant:
        """A device with what it trains; its data are as many examples as it holds, but not which."""
        if self.population is not None:
            return self.population.participant(number)
        return replace(self.classes[self.place_of(number)].one, traits=self.traits(number))

    def examples_of(self, number: int) -> int:
        """How many examples a device has."""
        return self.classes[self.place_of(number)].examples if self.population is None else self.population.examples_of(number)

    def speed_of(self, number: int) -> float:
        """How many times as fast as its profile a device computes."""
        return 1.0 if self.population is None else self.population.speed_of(number)

    @cached_property
    def numbers(self) -> Sequence[int]:
        """The devices that take part, ascending."""
        return Enrolled(self.included) if self.population is None else self.population.numbers

    @property
    def included(self) -> list[DeviceClass]:
        """The classes that take part."""
        return [item for item in self.classes if item.one.fits]

    @cached_property
    def plans(self) -> tuple[UpdatePlan, ...]:
        """What those who take part train, each plan once."""
        return tuple(dict.fromkeys(item.one.plan for item in self.included))

    @cached_property
    def paces(self) -> list[Pace]:
        """The pace of each class."""
        return paces_of(self.blueprint, [(item.one, item.count) for item in self.classes])

    def pace_of(self, number: int) -> Pace:
        """The pace of a device."""
        return self.paces[self.place_of(number)] if self.population is None else self.population.pace_of(number)

    def own_steps(self, item: DeviceClass) -> int:
        """How many local steps a device of this class takes in a round; of a population, the median device."""
        pace = self.pace_of(item.first) if self.population is None else self.population.pace_of(item.first, speed=1.0)
        return pace.through(self.blueprint.scenario.training.local_steps)

    @cached_property
    def elements(self) -> int:
        """How many numbers the vector of the network holds: whatever anybody trains. Of two sets of channels of one weight,
        each those with the largest norms, the larger holds the smaller."""
        facts = {parameter.name: (layer, parameter) for layer in reversed(self.blueprint.summary.layers) for parameter in layer.parameters}
        return sum(max(plan.elements_of(layer, parameter) for plan in self.plans) for layer, parameter in facts.values())

    def step_cost(self, item: DeviceClass, step: int) -> StepCost:
        """What a local step (counted from 1) costs a device of this class; of a population, the median device."""
        size, plan, device = item.one.batches.size(step), item.one.plan, item.one.traits.device
        return step_cost(self.blueprint.summary, plan, size, device, memory_on(self.blueprint, plan, size, device))

    def cost(self, place: int, examples: int, first: int, steps: int) -> StepCost:
        """What local steps cost from the one after `first` on; of a population, the median device of the class with so many examples."""
        item = self.classes[place]
        if self.population is None:
            return total_cost([self.step_cost(item, step) for step in range(first + 1, first + 1 + steps)])
        size = self.batch_sizes(place, examples).size
        return total_cost([self.population.cost(place, size(step)) for step in range(first + 1, first + 1 + steps)])

    def batch_sizes(self, place: int, examples: int) -> Batches:
        """Batches of the sizes that a device of this class takes of so many examples."""
        item = self.classes[place]
        return (
            item.one.batches
            if self.population is None
            else Batches(np.broadcast_to(np.int64(0), examples), item.batch_size, self.blueprint.streams, ())
        )


def timed_fleet(scenario: Scenario, *, allow_code: bool = False) -> TimedFleet:
    """Decides who takes part and trains what, as `preparation.prepare` does, from the numbers of examples alone.

    Data are loaded only where their labels or owners decide who holds how many. Raises what `prepare` raises.
    """
    plans = blueprint(scenario, allow_code=allow_code)
    if isinstance(plans.fleet, EnrolledDevices):
        found = population_classes(plans, allow_code=allow_code)
        return TimedFleet(found.plans, found.classes, found)
    stretches = list(_stretches(plans))
    classes = _classes(plans, stretches)
    used = any(item.one.candidate.update.trains_lite_residual for item in classes if item.one.fits)
    if len(plans.candidates) > 1 and plans.carries_lite_residual_for_an_update and not used:
        plans = blueprint(scenario, allow_code=allow_code, without_lite_residual=True)
        classes = _classes(plans, stretches)
    decide_counted(scenario, [(item.one, item.count) for item in classes])
    return TimedFleet(plans, classes)


_Stretch = tuple[int, int, int]
"""(first device, how many devices, examples of each), within one group."""


def _classes(plans: Blueprint, stretches: Sequence[_Stretch]) -> list[DeviceClass]:
    firsts = [plans.fleet[first] for first, _, _ in stretches]
    wanted = plans.scenario.training.batch_size
    batches = [
        Batches(np.broadcast_to(np.int64(0), examples), examples if wanted == "all" else wanted, plans.streams, ())
        for _, _, examples in stretches
    ]
    ones = assigned(plans, batches, firsts)
    return [
        DeviceClass(first, count, examples, one.batches.batch_size, one)
        for (first, count, examples), one in zip(stretches, ones, strict=True)
    ]


def _stretches(plans: Blueprint) -> Iterator[_Stretch]:
    """The fleet cut into stretches of one group and one number of examples."""
    first = 0
    sizes = _equal_sizes(plans) or _split_sizes(plans)
    for group in _groups(plans):
        last, start = first + group.count, first
        while start < last:
            end = min(last, sizes.same_until(start))
            yield start, end - start, sizes.of(start)
            start = end
        first = last


def _groups(plans: Blueprint) -> Sequence[GroupMembers]:
    assert isinstance(plans.fleet, Members), "a population is not cut into stretches"
    return plans.fleet.groups


@dataclass(frozen=True)
class _EqualSizes:
    """`examples` over `clients`, the first ones with one more."""

    examples: int
    clients: int

    def of(self, client: int) -> int:
        return self.examples // self.clients + (client < self.examples % self.clients)

    def same_until(self, client: int) -> int:
        longer = self.examples % self.clients
        return longer if client < longer else self.clients


@dataclass(frozen=True)
class _SplitSizes:
    """Sizes as a partition gave them."""

    runs: list[tuple[int, int]]
    """(where a run of equal sizes ends, the size)."""

    def of(self, client: int) -> int:
        return self._run(client)[1]

    def same_until(self, client: int) -> int:
        return self._run(client)[0]

    def _run(self, client: int) -> tuple[int, int]:
        return self.runs[bisect_right(self.runs, client, key=lambda run: run[0])]


def _equal_sizes(plans: Blueprint) -> _EqualSizes | None:
    """The sizes of an iid partition of made examples, whose number is stated; None for anything else."""
    scenario, data = plans.scenario, plans.scenario.data
    if not (isinstance(data, Synthetic) and isinstance(data.partition, Iid)) or (data.train_examples or 0) > data.examples:
        return None
    examples = data.train_examples or data.examples
    examples -= public_count(scenario.model, examples)
    check_enough(np.broadcast_to(np.int64(0), examples), len(plans.fleet))
    return _EqualSizes(examples, len(plans.fleet))


def _split_sizes(plans: Blueprint) -> _SplitSizes:
    """The sizes of a real split. Images keep their own size: only labels and owners count here."""
    scenario = plans.scenario
    data = (
        scenario.data if isinstance(scenario.data, Synthetic) else scenario.data.model_copy(update={"image_size": None, "channels": None})
    )
    dataset = data.load(plans.streams)
    shares = shares_of(dataset, scenario.model, plans.streams)
    owners = None if dataset.client_train is None else dataset.client_train[shares.private]
    memory = np.concatenate([np.full(group.count, group.device.memory) for group in _groups(plans)])
    known = KnownOfClients(owners, np.unique(memory, return_inverse=True)[1])
    parts = scenario.data.partition.split(dataset.train_targets[shares.private], len(plans.fleet), plans.streams, known)
    runs, end = [], 0
    for size, alike in groupby(len(part) for part in parts):
        end += sum(1 for _ in alike)
        runs.append((end, size))
    return _SplitSizes(runs)
