"""Populations: very many devices, drawn from a mixture of classes.

What device i of a population is, is a function of the seed and of i alone, so a larger population holds a smaller one, device by device:

    class       member m with the probability share_m / sum of the shares
    memory      one of the member's `memory` budgets, by their shares; without them, that of its profile
    speed       s = exp(speed_sigma z), z ~ N(0, 1): whatever its processor does takes the profile's time / s
    connection  latency and rates around the medians of the member's network (network.py)

So the profile of a member is its median device. Speed is of the processor alone: waiting for storage, starting a process and power are
those of the profile. A member of a population is to it what a group is to a fleet of groups: tables and figures call it a device class.
"""

from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, final

from pydantic import AfterValidator, Field, Strict, model_validator

from fedtiny.fleet.availability import ALWAYS, AnyAvailability
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import CatalogDevice, CatalogNetwork, FleetGroup
from fedtiny.fleet.mixes import known_mix, mix_entry
from fedtiny.fleet.network import CustomNetwork
from fedtiny.parts import Part
from fedtiny.units import Bytes

Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]
MOST_MEMBERS: Final = 100
MOST_BUDGETS: Final = 100

CatalogMix = Annotated[str, AfterValidator(known_mix)]


@final
class MemoryShare(Part):
    """A memory budget that some of the devices have."""

    budget: Bytes
    """Memory that training may use."""
    share: Share
    """How many have it, in proportion to the other shares."""


@final
class PopulationMember(Part):
    """A class of the devices of a population."""

    share: Share
    """How many devices are of this class, in proportion to the other shares: the shares need not sum to 1."""
    device: CatalogDevice | CustomDevice
    """A name of the catalog (`fedtiny catalog devices`), or {kind: custom, ...}: the median device of the class."""
    network: CatalogNetwork | CustomNetwork
    """A name of the catalog (`fedtiny catalog networks`), or {kind: custom, ...}."""
    speed_sigma: Annotated[float, Field(ge=0, le=4)] = 0.0
    """Standard deviation of ln(speed) between devices of the class; 0: all as fast as the profile."""
    memory: Annotated[tuple[MemoryShare, ...], Strict(False), Field(min_length=1, max_length=MOST_BUDGETS)] | None = None
    """Memory budgets and how many devices have each; left out: all have the profile's."""

    def alike(self, count: int, dropout: float) -> FleetGroup:
        """The class as a group of so many devices."""
        plain = {"count": count, "device": self.device, "network": self.network, "dropout": dropout}
        return FleetGroup.model_validate(plain)


@final
class Population(Part):
    """Very many devices, drawn from a mixture of classes; each depends on the seed and its own number alone."""

    kind: Literal["population"] = "population"
    count: Annotated[int, Field(gt=0)]
    """How many devices are enrolled; only those that a message reaches take time and memory."""
    mix: CatalogMix | None = None
    """A mixture of the catalog (`fedtiny catalog mixes`); this or members."""
    members: Annotated[tuple[PopulationMember, ...], Strict(False), Field(min_length=1, max_length=MOST_MEMBERS)] | None = None
    """The classes of devices and their shares; this or mix."""
    network: CatalogNetwork | CustomNetwork | None = None
    """The network of all devices of a mix, in place of its own."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability that a device does nothing in a round it is asked in and sends no reply; at least 0, less than 1."""
    availability: AnyAvailability = ALWAYS
    """When its devices are there, and what becomes of what they do when they leave."""

    @model_validator(mode="before")
    @classmethod
    def _has_no_batteries(cls, value: Any) -> Any:
        if isinstance(value, dict) and "battery" in value:
            raise ValueError("devices of a population have no batteries yet: leave out battery, or state the devices as groups, with count")
        return value

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.mix is None) == (self.members is None):
            raise ValueError("say of what devices it is: either mix (a name, see `fedtiny catalog mixes`) or members (shares of devices)")
        if self.members is not None and self.network is not None:
            raise ValueError("network takes the place of a mix's networks, and these are members of your own: give each its network")
        return self

    @property
    def battery(self) -> None:
        """What its devices live on: they have all the energy they need."""
        return None

    @cached_property
    def classes(self) -> tuple[PopulationMember, ...]:
        """The members: those stated, or those of the mix."""
        if self.mix is None:
            return self.members or ()
        stated = {} if self.network is None else {"network": self.network}
        return tuple(PopulationMember.model_validate({**plain, **stated}) for plain in mix_entry(self.mix).members_as_stated())
