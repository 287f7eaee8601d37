"""Networks: latency, rates, jitter, loss and energy of the connection between a device and the server.

A message of b bytes that goes up takes b / uplink seconds on the link and arrives `latency` plus jitter later; down alike.
`latency` is one way: where only a round trip was published, the catalog halves it and says so.

Where a population was measured, latency and rates are medians of log-normal distributions *between devices*: each device
draws its own values once and keeps them,

    value = median exp(sigma z),    z ~ N(0, 1)

with one independent z for latency, downlink and uplink. `jitter`, in contrast, is drawn anew for each message.
"""

import math
from typing import Annotated, Any, Final, Literal, Self, final

import numpy as np
from pydantic import Field, model_validator

from fedtiny.fleet.device import CUSTOM
from fedtiny.parts import Part
from fedtiny.units import UNLIMITED, BytesPerSecond, JoulesPerByte, Seconds

Loss = Annotated[float, Field(ge=0, lt=1)]
Sigma = Annotated[float, Field(ge=0, le=4)]
Rate = Annotated[BytesPerSecond, Field(json_schema_extra={"default": "unlimited"})]
Jitter = Annotated[Seconds, Field(json_schema_extra={"default": "0 s"})]
_SPREAD: Final = ("latency", "downlink", "uplink")


class _Link(Part):
    """What profiles and custom networks have in common."""

    latency: Seconds
    """Seconds from one end to the other, one way: half of a round trip."""
    downlink: Rate = UNLIMITED
    """Bytes per second from the server to the device."""
    uplink: Rate = UNLIMITED
    """Bytes per second from the device to the server."""
    jitter: Jitter = 0.0
    """Standard deviation, in seconds, of a normal added to the latency of each message (never below 0)."""
    loss: Loss = 0.0
    """Share of messages that are lost and sent again after a round trip; at least 0, less than 1."""
    energy_down: JoulesPerByte | None = None
    """Joules that the device spends on a received byte; without it the energy of receiving is unknown."""
    energy_up: JoulesPerByte | None = None
    """Joules that the device spends on a sent byte; without it the energy of sending is unknown."""
    latency_sigma: Sigma = 0.0
    """Standard deviation of ln(latency) between devices; 0: all alike."""
    downlink_sigma: Sigma = 0.0
    """Standard deviation of ln(downlink) between devices; 0: all alike."""
    uplink_sigma: Sigma = 0.0
    """Standard deviation of ln(uplink) between devices; 0: all alike."""

    @model_validator(mode="after")
    def _spreads_what_is_finite(self) -> Self:
        for key in ("downlink", "uplink"):
            if getattr(self, f"{key}_sigma") > 0 and math.isinf(getattr(self, key)):
                raise ValueError(f"{key}_sigma spreads the {key} between devices, but the {key} is unlimited: give it a rate")
        return self


@final
class NetworkProfile(_Link):
    """A network as the simulation knows it; quantities in base units."""

    name: str
    """The name in the catalog, or `custom`."""

    @property
    def has_spread(self) -> bool:
        """Whether devices on this network differ."""
        return any(getattr(self, f"{key}_sigma") > 0 for key in _SPREAD)

    def drawn(self, generator: np.random.Generator) -> "NetworkProfile":
        """The network of one device: its latency and rates drawn around the medians, no spread left.

        Always takes three normals from the generator, so that removing one spread leaves the other draws as they are.
        """
        normals = generator.standard_normal(len(_SPREAD))
        update: dict[str, float] = {}
        for key, normal in zip(_SPREAD, normals, strict=True):
            update[key] = getattr(self, key) * math.exp(getattr(self, f"{key}_sigma") * float(normal))
            update[f"{key}_sigma"] = 0.0
        return self.model_copy(update=update)


@final
class CustomNetwork(_Link):
    """A network that the scenario describes itself."""

    kind: Literal["custom"]

    def profile(self) -> NetworkProfile:
        """The network as the simulation knows it."""
        plain = self.to_plain()
        del plain["kind"]
        return NetworkProfile.model_validate({**plain, "name": CUSTOM})


@final
class NetworkOverride(Part):
    """What a scenario says of every network of its fleet; an overridden latency or rate is the same for all devices."""

    latency: Seconds | None = None
    """Seconds from one end to the other, one way; removes the spread of latency."""
    downlink: BytesPerSecond | None = None
    """Bytes per second from the server to the device; removes the spread of the downlink."""
    uplink: BytesPerSecond | None = None
    """Bytes per second from the device to the server; removes the spread of the uplink."""
    jitter: Seconds | None = None
    """Standard deviation, in seconds, of a normal added to the latency of each message."""
    loss: Loss | None = None
    """Share of messages that are lost; at least 0, less than 1."""
    energy_down: JoulesPerByte | None = None
    """Joules that a device spends on a received byte."""
    energy_up: JoulesPerByte | None = None
    """Joules that a device spends on a sent byte."""

    def applied_to(self, profile: NetworkProfile) -> NetworkProfile:
        """The profile with what is stated here in place of its own, without the spread of what is overridden."""
        stated: dict[str, Any] = {key: getattr(self, key) for key in type(self).model_fields if getattr(self, key) is not None}
        stated |= {f"{key}_sigma": 0.0 for key in _SPREAD if key in stated}
        return profile.model_copy(update=stated)
