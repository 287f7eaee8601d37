"""Fleets: so many of this device on that network, and what becomes of each single device.

The traits of a device are a pure function of the seed, its group and its index in the group: adding a device, or a group at the
end, changes no other device.
"""

import operator
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, final, overload

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from fedtiny.fleet.availability import ALWAYS, AnyAvailability
from fedtiny.fleet.battery import Battery
from fedtiny.fleet.catalog import known_device, known_network, load_device, load_network
from fedtiny.fleet.device import CustomDevice, DeviceOverride, DeviceProfile
from fedtiny.fleet.network import CustomNetwork, NetworkOverride, NetworkProfile
from fedtiny.parts import Part
from fedtiny.randomness import Streams
from fedtiny.units import CarbonIntensity

Integers = NDArray[np.int64]
CatalogDevice = Annotated[str, AfterValidator(known_device)]
CatalogNetwork = Annotated[str, AfterValidator(known_network)]


@final
class FleetGroup(Part):
    """So many devices of one type on one type of network."""

    count: Annotated[int, Field(gt=0)]
    """How many devices."""
    device: CatalogDevice | CustomDevice
    """A name of the catalog (`fedtiny catalog devices`), {kind: custom, ...}, or {kind: profile, path: FILE} (`fedtiny calibrate`)."""
    network: CatalogNetwork | CustomNetwork
    """A name of the catalog (`fedtiny catalog networks`), or {kind: custom, ...}."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a device does nothing in a round it is asked in and sends no reply; at least 0, less than 1."""
    availability: AnyAvailability = ALWAYS
    """When its devices are there, and what becomes of what they do when they leave."""

    battery: Battery | None = None
    """What each of its devices lives on; left out: they have all the energy they need. Needs a device whose power is known."""

    carbon_intensity: CarbonIntensity | None = None
    """Grams of CO2e per kilowatt-hour of the grid that these devices are fed from; left out: the scenario's."""

    @property
    def name(self) -> str:
        """What tables and figures call the group, such as "raspberry_pi_4 on lte_driving"."""
        return f"{self.device_profile().name} on {self.network_profile().name}"

    def device_profile(self) -> DeviceProfile:
        """The device, from the catalog or from the scenario."""
        return load_device(self.device) if isinstance(self.device, str) else self.device.profile()

    def network_profile(self) -> NetworkProfile:
        """The network, from the catalog or from the scenario; the spread between devices is still in it."""
        return load_network(self.network) if isinstance(self.network, str) else self.network.profile()


@dataclass(frozen=True)
class Traits:
    """One device of the fleet: who it is, what it is and how it is connected."""

    number: int
    """The running number over the whole fleet."""
    group: int
    """The position of its group in the fleet."""
    index: int
    """Its position in the group; (group, index) is its identity."""
    group_name: str
    device: DeviceProfile
    network: NetworkProfile
    """The connection of this very device: the spread between devices is drawn, its sigmas are 0."""
    dropout: float = 0.0
    """Probability that it does nothing in a round it is asked in and sends no reply."""
    speed: float = 1.0
    """How many times as fast as `device` says it computes; its index in a population is its running number."""


@dataclass(frozen=True)
class Members(Sequence[Traits]):
    """Every device of a fleet, in the order of the groups, made when it is asked for: a million of them take no memory.

    Device i of group g draws its connection from the stream ("group", g, "device", i, "network").
    """

    groups: tuple["GroupMembers", ...]
    streams: Streams

    def __len__(self) -> int:
        """How many devices the fleet has."""
        last = self.groups[-1]
        return last.first + last.count

    @overload
    def __getitem__(self, place: int) -> Traits: ...

    @overload
    def __getitem__(self, place: slice) -> list[Traits]: ...

    def __getitem__(self, place: int | slice) -> Traits | list[Traits]:
        """The device with this running number; of a slice, a list."""
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        number = operator.index(place)
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(f"device {place} of a fleet of {len(self)}")
        group = self.groups[bisect_right(self.groups, number, key=_first) - 1]
        return group.member(number - group.first, self.streams)

    def groups_of(self, numbers: Integers) -> Integers:
        """The group that each of these devices is of, (devices,)."""
        return np.searchsorted([group.first for group in self.groups], numbers, "right") - 1

    def __iter__(self) -> Iterator[Traits]:
        """All devices, one after the other."""
        for group in self.groups:
            for index in range(group.count):
                yield group.member(index, self.streams)


@dataclass(frozen=True)
class GroupMembers:
    """The devices of one group: what they have in common, and where they begin in the fleet."""

    first: int
    """The running number of its first device."""
    count: int
    position: int
    """Its place among the groups."""
    name: str
    device: DeviceProfile
    network: NetworkProfile
    """The network of them all; the spread between devices is still in it."""
    differ: bool
    """Whether their connections do."""
    dropout: float = 0.0

    def member(self, index: int, streams: Streams) -> Traits:
        """The device with this index in the group."""
        link = self.network
        if self.differ:
            link = link.drawn(streams.numpy("group", self.position, "device", index, "network"))
        return Traits(self.first + index, self.position, index, self.name, self.device, link, self.dropout)


def traits(groups: Sequence[FleetGroup], device: DeviceOverride | None, network: NetworkOverride | None, streams: Streams) -> Members:
    """Every device of the fleet, in the order of the groups; the overrides hold for all of them."""
    found: list[GroupMembers] = []
    first = 0
    for position, group in enumerate(groups):
        profile = group.device_profile() if device is None else device.applied_to(group.device_profile())
        median = group.network_profile() if network is None else network.applied_to(group.network_profile())
        found.append(GroupMembers(first, group.count, position, group.name, profile, median, median.has_spread, group.dropout))
        first += group.count
    return Members(tuple(found), streams)


def _first(group: GroupMembers) -> int:
    return group.first
