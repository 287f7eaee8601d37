"""Enrolment: every device of a fleet with its examples and what it trains.

Of a fleet of groups the examples are split among all devices, and each device is decided on at once. Of a population every device draws
its own examples; classes of devices are decided on, and a device is made when it is asked for.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, overload

import numpy as np

from fedtiny.blueprint import Blueprint, blueprint
from fedtiny.datasets.base import Dataset
from fedtiny.datasets.partition_family import KnownOfClients
from fedtiny.datasets.with_replacement import WithReplacement
from fedtiny.design.pretraining import Shares
from fedtiny.fleet.enrolled import EnrolledDevices
from fedtiny.participation import Participant, assigned, decide, paces_by_number
from fedtiny.population_classes import GROUP, Draw, PopulationClasses, population_classes
from fedtiny.training.batches import Batches
from fedtiny.training.pace import Pace
from fedtiny.updates.layout import OwnElements
from fedtiny.updates.plan import UpdatePlan

_MOST_KEPT: Final = 1 << 14


class Participants(Sequence[Participant]):
    """Every device of a fleet, by its number."""

    @property
    @abstractmethod
    def included(self) -> Sequence[Participant]:
        """Those that take part."""

    @property
    @abstractmethod
    def numbers(self) -> Sequence[int]:
        """The numbers of those that take part, ascending."""

    @property
    @abstractmethod
    def counted(self) -> list[tuple[Participant, int]]:
        """Devices, and how many are like each; of groups, every device."""

    @property
    @abstractmethod
    def largest_batch(self) -> int:
        """The most examples that any device that takes part has in a batch."""

    @abstractmethod
    def takes_part(self, number: int) -> bool:
        """Whether there is a device with this number, and training fits it."""

    @abstractmethod
    def pace_of(self, number: int) -> Pace:
        """The pace of a device."""


class ListedParticipants(Participants):
    """The devices of a fleet of groups."""

    def __init__(self, plans: Blueprint, participants: Sequence[Participant]) -> None:
        self._plans, self._all = plans, participants

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    @overload
    def __getitem__(self, place: int) -> Participant: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Participant]: ...

    def __getitem__(self, place: int | slice) -> Participant | Sequence[Participant]:
        """The device with this number; of a slice, a list."""
        return self._all[place]

    @cached_property
    def included(self) -> Sequence[Participant]:
        """See `Participants.included`."""
        return [participant for participant in self._all if participant.fits]

    @property
    def numbers(self) -> Sequence[int]:
        """See `Participants.numbers`."""
        return [participant.traits.number for participant in self.included]

    @property
    def counted(self) -> list[tuple[Participant, int]]:
        """See `Participants.counted`."""
        return [(participant, 1) for participant in self._all]

    @property
    def largest_batch(self) -> int:
        """See `Participants.largest_batch`."""
        return max(min(own.batches.batch_size, len(own.batches.indices)) for own in self.included)

    def takes_part(self, number: int) -> bool:
        """See `Participants.takes_part`."""
        return 0 <= number < len(self._all) and self._all[number].fits

    def pace_of(self, number: int) -> Pace:
        """See `Participants.pace_of`."""
        return self._paces[number]

    @cached_property
    def _paces(self) -> dict[int, Pace]:
        return paces_by_number(self._plans, self._all)


class PopulationParticipants(Participants):
    """Devices of a population, made when they are asked for; the last ones are kept."""

    def __init__(self, classes: PopulationClasses) -> None:
        self.classes = classes
        self.made = lru_cache(_MOST_KEPT)(classes.participant)

    def __len__(self) -> int:
        """How many there are."""
        return len(self.classes.fleet)

    @overload
    def __getitem__(self, place: int) -> Participant: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Participant]: ...

    def __getitem__(self, place: int | slice) -> Participant | Sequence[Participant]:
        """The device with this number; of a slice, a list."""
        numbers = range(len(self))[place]
        return self.made(numbers) if isinstance(numbers, int) else [self.made(number) for number in numbers]

    @property
    def included(self) -> Sequence[Participant]:
        """See `Participants.included`."""
        return _Some(self.numbers, self.made)

    @property
    def numbers(self) -> Sequence[int]:
        """See `Participants.numbers`."""
        return self.classes.numbers

    @property
    def counted(self) -> list[tuple[Participant, int]]:
        """See `Participants.counted`."""
        return [(item.one, item.count) for item in self.classes.classes]

    @property
    def largest_batch(self) -> int:
        """See `Participants.largest_batch`: at least as many, whoever takes part."""
        return min(self.classes.most_examples, max(item.batch_size for item in self.classes.classes if item.one.fits))

    def takes_part(self, number: int) -> bool:
        """See `Participants.takes_part`."""
        return self.classes.takes_part(number)

    def pace_of(self, number: int) -> Pace:
        """See `Participants.pace_of`."""
        return self.classes.pace_of(number)


@dataclass(frozen=True, eq=False)
class _Some(Sequence[Participant]):
    """Some devices of a population."""

    numbers: Sequence[int]
    made: Callable[[int], Participant]

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Participant: ...

    @overload
    def __getitem__(self, place: slice) -> list[Participant]: ...

    def __getitem__(self, place: int | slice) -> Participant | list[Participant]:
        if isinstance(place, slice):
            return [self.made(number) for number in self.numbers[place]]
        return self.made(self.numbers[place])


@dataclass(frozen=True, eq=False)
class OwnParts(Mapping[int, OwnElements]):
    """What each device that takes part trains of the flat vector, by its number."""

    participants: Participants
    own: Mapping[UpdatePlan, OwnElements]

    def __getitem__(self, number: int) -> OwnElements:
        """What this device trains; KeyError where it takes no part."""
        if not self.participants.takes_part(number):
            raise KeyError(number)
        return self.own[self.participants[number].plan]

    def __iter__(self) -> Iterator[int]:
        """The numbers of those that take part."""
        return iter(self.participants.numbers)

    def __len__(self) -> int:
        """How many take part."""
        return len(self.participants.numbers)


def enrol(plans: Blueprint, dataset: Dataset, shares: Shares, *, allow_code: bool = False) -> tuple[Blueprint, Participants]:
    """Every device with its examples and what it trains, and the blueprint for that. Raises what `participation.decide` raises."""
    if not isinstance(plans.fleet, EnrolledDevices):
        return decided(plans, split(plans, dataset, shares), allow_code=allow_code)
    classes = population_classes(plans, _draw(plans, dataset, shares), allow_code=allow_code)
    return classes.plans, PopulationParticipants(classes)


def _draw(plans: Blueprint, dataset: Dataset, shares: Shares) -> Draw:
    recipe, streams = plans.scenario.data.partition, plans.streams
    assert isinstance(recipe, WithReplacement), "checked with the scenario"
    source = recipe.source(dataset.train_targets[shares.private])

    def draw(number: int, examples: int) -> np.ndarray:
        return shares.private[source.draw(examples, streams.numpy("group", GROUP, "device", number, "examples"))]

    return draw


def split(plans: Blueprint, dataset: Dataset, shares: Shares) -> list[np.ndarray]:
    """The examples of every device of a fleet of groups."""
    owners = None if dataset.client_train is None else dataset.client_train[shares.private]
    _, classes = np.unique([device.device.memory for device in plans.fleet], return_inverse=True)
    known = KnownOfClients(owners, classes)
    parts = plans.scenario.data.partition.split(dataset.train_targets[shares.private], len(plans.fleet), plans.streams, known)
    return [shares.private[part] for part in parts]


def decided(plans: Blueprint, parts: list[np.ndarray], *, allow_code: bool = False) -> tuple[Blueprint, Participants]:
    """Who of a fleet of groups trains what, and the blueprint for that: where the network has lite residual modules only for an update
    that turns out to fit nobody, it is built without them, and everything is decided again."""
    participants = assigned(plans, _batches(plans, parts))
    used = any(participant.candidate.update.trains_lite_residual for participant in participants if participant.fits)
    if len(plans.candidates) > 1 and plans.carries_lite_residual_for_an_update and not used:
        plans = blueprint(plans.scenario, allow_code=allow_code, without_lite_residual=True)
        participants = assigned(plans, _batches(plans, parts))
    decide(plans.scenario, participants)
    return plans, ListedParticipants(plans, participants)


def _batches(plans: Blueprint, parts: list[np.ndarray]) -> list[Batches]:
    wanted = plans.scenario.training.batch_size
    return [
        Batches(indices, len(indices) if wanted == "all" else wanted, plans.streams, ("group", device.group, "device", device.index))
        for device, indices in zip(plans.fleet, parts, strict=True)
    ]
