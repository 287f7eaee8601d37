"""Fleets: so many of this device on that network, and what becomes of each single device.

The traits of a device are a pure function of the seed, its group and its index in the group: adding a device, or a group at the
end, changes no other device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, final

from pydantic import AfterValidator, Field

from fedtiny.fleet.catalog import known_device, known_network, load_device, load_network
from fedtiny.fleet.device import CustomDevice, DeviceOverride, DeviceProfile
from fedtiny.fleet.network import CustomNetwork, NetworkOverride, NetworkProfile
from fedtiny.parts import Part
from fedtiny.randomness import Streams

CatalogDevice = Annotated[str, AfterValidator(known_device)]
CatalogNetwork = Annotated[str, AfterValidator(known_network)]


@final
class FleetGroup(Part):
    """So many devices of one type on one type of network."""

    count: Annotated[int, Field(gt=0)]
    """How many devices."""
    device: CatalogDevice | CustomDevice
    """A name of the catalog (`fedtiny catalog devices`), or {kind: custom, ...}."""
    network: CatalogNetwork | CustomNetwork
    """A name of the catalog (`fedtiny catalog networks`), or {kind: custom, ...}."""

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


def traits(groups: Sequence[FleetGroup], device: DeviceOverride | None, network: NetworkOverride | None, streams: Streams) -> list[Traits]:
    """Every device of the fleet, in the order of the groups; the overrides hold for all of them.

    Device i of group g draws its connection from the stream ("group", g, "device", i, "network").
    """
    found: list[Traits] = []
    for position, group in enumerate(groups):
        found.extend(_members(group, position, len(found), device, network, streams))
    return found


def _members(
    group: FleetGroup, position: int, first: int, device: DeviceOverride | None, network: NetworkOverride | None, streams: Streams
) -> Iterator[Traits]:
    name = group.name
    profile = group.device_profile() if device is None else device.applied_to(group.device_profile())
    median = group.network_profile() if network is None else network.applied_to(group.network_profile())
    for index in range(group.count):
        link = median.drawn(streams.numpy("group", position, "device", index, "network")) if median.has_spread else median
        yield Traits(number=first + index, group=position, index=index, group_name=name, device=profile, network=link)
