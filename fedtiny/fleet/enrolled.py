"""The devices of a population, made when they are asked for.

Two uniform numbers of row i, column 0 of the population's random table (random_table.py) are those of the class and the memory of device
i; two of column 1 make the normal number of its speed (Box and Muller, A note on the generation of random normal deviates, Annals of
Mathematical Statistics 29, 1958). Its connection has a stream of its own. So class and memory of a million devices are found in a fraction
of a second, and nothing else is made for a device that nobody asks for.
"""

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from fedtiny.fleet.device import DeviceOverride, DeviceProfile
from fedtiny.fleet.fleet import FleetGroup, GroupMembers, Members, Traits, traits
from fedtiny.fleet.network import NetworkOverride
from fedtiny.fleet.population import Population, PopulationMember
from fedtiny.fleet.random_table import RandomTable
from fedtiny.randomness import Streams

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Places = NDArray[np.uint8]

_GROUP = 0
"""A population is the first and only group of its fleet."""


@dataclass(frozen=True)
class MemberDevices:
    """What the devices of one member of a population are, by the budgets that they may have."""

    share: float
    sigma: float
    """Standard deviation of ln(speed) between them."""
    profiles: tuple[DeviceProfile, ...]
    """One for every budget."""
    shares: tuple[float, ...]
    """How many have each, in proportion."""


@dataclass(frozen=True)
class EnrolledDevices(Sequence[Traits]):
    """Every device of a population, by its number."""

    size: int
    members: tuple[MemberDevices, ...]
    groups: tuple[GroupMembers, ...]
    """What the devices of each member have in common; `first` and `count` say nothing here."""
    streams: Streams

    def __len__(self) -> int:
        """How many devices the population has."""
        return self.size

    @overload
    def __getitem__(self, place: int) -> Traits: ...

    @overload
    def __getitem__(self, place: slice) -> list[Traits]: ...

    def __getitem__(self, place: int | slice) -> Traits | list[Traits]:
        """The device with this number; of a slice, a list."""
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(self.size))]
        number = operator.index(place)
        number += self.size if number < 0 else 0
        if not 0 <= number < self.size:
            raise IndexError(f"device {place} of a population of {self.size}")
        position, budget = int(self.member_of[number]), int(self.budget_of[number])
        group = self.groups[position]
        link = group.network
        if group.differ:
            link = link.drawn(self.streams.numpy("group", _GROUP, "device", number, "network"))
        profile, speed = self.members[position].profiles[budget], float(self.speeds(np.array([number]))[0])
        return Traits(number, position, number, group.name, profile, link, group.dropout, speed)

    def __iter__(self) -> Iterator[Traits]:
        """All devices, one after the other."""
        return (self[number] for number in range(self.size))

    def groups_of(self, numbers: Integers) -> Integers:
        """The member that each of these devices is of, (devices,)."""
        return self.member_of[numbers].astype(np.int64)

    def speeds(self, numbers: Integers) -> Floats:
        """How many times as fast as the profile each of these devices computes, (devices,)."""
        sigma = np.array([member.sigma for member in self.members])[self.member_of[numbers]]
        if not sigma.any():
            return np.ones(len(numbers))
        return np.asarray(np.exp(sigma * normals(self._table, numbers, np.ones_like(numbers))))

    @property
    def member_of(self) -> Places:
        """The member of every device, (devices,)."""
        return self._places[0]

    @property
    def budget_of(self) -> Places:
        """The place of every device's memory budget among those of its member, (devices,)."""
        return self._places[1]

    @cached_property
    def _places(self) -> tuple[Places, Places]:
        devices = np.arange(self.size, dtype=np.int64)
        of_member, of_budget = self._table.uniforms(devices, np.zeros_like(devices))
        member, budget = _chosen(of_member, [one.share for one in self.members]), np.zeros(self.size, np.uint8)
        for place, one in enumerate(self.members):
            if len(one.profiles) > 1:
                own = member == place
                budget[own] = _chosen(of_budget[own], one.shares)
        return member, budget

    @cached_property
    def _table(self) -> RandomTable:
        return RandomTable(self.streams, "group", _GROUP, "population")


def normals(table: RandomTable, rows: Integers, columns: Integers) -> Floats:
    """A standard normal number for every place of a random table, (places,)."""
    first, second = table.uniforms(rows, columns)
    return np.asarray(np.sqrt(-2.0 * np.log(first)) * np.cos(2.0 * np.pi * second))


AnyFleet = Members | EnrolledDevices
"""The devices of a fleet: of groups, or of a population."""


def devices_of(
    fleet: Sequence[FleetGroup] | Population, device: DeviceOverride | None, network: NetworkOverride | None, streams: Streams
) -> AnyFleet:
    """Every device of a fleet, by its running number; the overrides hold for all of them.

    An overridden memory is that of all devices of a population, and with rates or a step time that are overridden all are as fast.
    """
    if not isinstance(fleet, Population):
        return traits(fleet, device, network, streams)
    groups = traits([member.alike(1, fleet.dropout) for member in fleet.classes], device, network, streams).groups
    members = (_devices(member, group.device, device) for member, group in zip(fleet.classes, groups, strict=True))
    return EnrolledDevices(fleet.count, tuple(members), groups, streams)


def _devices(member: PopulationMember, profile: DeviceProfile, override: DeviceOverride | None) -> MemberDevices:
    alike = override is not None and (override.rates is not None or override.step_time is not None)
    sigma = 0.0 if alike else member.speed_sigma
    if member.memory is None or (override is not None and override.memory is not None):
        return MemberDevices(member.share, sigma, (profile,), (1.0,))
    profiles = tuple(profile.model_copy(update={"memory": one.budget}) for one in member.memory)
    return MemberDevices(member.share, sigma, profiles, tuple(one.share for one in member.memory))


def _chosen(uniform: Floats, shares: Sequence[float]) -> Places:
    """Which of the shares each uniform number falls into."""
    ends = np.cumsum(shares)
    places = np.searchsorted(ends, uniform * ends[-1], side="right")
    return np.asarray(np.minimum(places, len(shares) - 1), dtype=np.uint8)
