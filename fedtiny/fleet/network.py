"""Networks: latency, rates, jitter, loss and energy of the connection between a device and the server.

A message of b bytes that goes up takes b / uplink seconds on the link and arrives `latency` plus jitter later; down alike.
`latency` is one way: where only a round trip was published, the catalog halves it and says so.

Where a population was measured, latency and rates are medians of distributions *between devices*, log-normals or such with the published
quantiles (spread.py): each device draws its own values once, with one independent normal for latency, downlink and uplink, and keeps
them. What the keys `..._transfer_...` say is drawn anew for each *transfer*, as a factor of the device's own value; so is `jitter`, for
each message. No draw is outside of the minimum and the maximum.

A network can have more to it: a radio that sleeps (radio_states.py), the time of day (time_of_day.py), an access point that devices share
(sharing.py). LoRa (lora.py) has no rate but packets, and a channel that is closed for most of the time.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self, final

import numpy as np
from pydantic import Field, model_validator

from fedtiny.fleet.device import CUSTOM
from fedtiny.fleet.lora import LoRa
from fedtiny.fleet.radio_states import RadioStates
from fedtiny.fleet.sharing import AccessPoint
from fedtiny.fleet.spread import (
    LARGEST_DEVIATION,
    FactorQuantiles,
    LatencyQuantiles,
    Pairs,
    RateQuantiles,
    from_quantiles,
    log_normal,
    truncated_normal,
)
from fedtiny.fleet.time_of_day import TimeOfDay
from fedtiny.parts import Part
from fedtiny.units import UNLIMITED, BytesPerSecond, JoulesPerByte, Seconds

Loss = Annotated[float, Field(ge=0, lt=1)]
Sigma = Annotated[float, Field(ge=0, le=4)]
Deviation = Annotated[float, Field(ge=0, le=LARGEST_DEVIATION)]
Rate = Annotated[BytesPerSecond, Field(json_schema_extra={"default": "unlimited"})]
Jitter = Annotated[Seconds, Field(json_schema_extra={"default": "0 s"})]
SPREAD: Final = ("latency", "downlink", "uplink")
"""What differs between devices and transfers."""
_BETWEEN: Final = ("sigma", "quantiles")
_TRANSFER: Final = ("transfer_sigma", "transfer_deviation", "transfer_quantiles")
_OF_SPREAD: Final = {"sigma": 0.0, "quantiles": None, "minimum": None, "maximum": None} | {
    "transfer_sigma": 0.0,
    "transfer_deviation": 0.0,
    "transfer_quantiles": None,
}


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
    latency_quantiles: LatencyQuantiles | None = None
    """Quantiles of the latency between devices, beside the median, such as `p5 3 ms, p95 80 ms`; in place of latency_sigma."""
    downlink_quantiles: RateQuantiles | None = None
    """Quantiles of the downlink between devices, such as `p5 1 Mbit/s, p95 40 Mbit/s`; in place of downlink_sigma."""
    uplink_quantiles: RateQuantiles | None = None
    """Quantiles of the uplink between devices, such as `p5 1 Mbit/s, p95 40 Mbit/s`; in place of uplink_sigma."""
    latency_minimum: Seconds | None = None
    """No latency that is drawn is shorter."""
    latency_maximum: Seconds | None = None
    """No latency that is drawn is longer."""
    downlink_minimum: BytesPerSecond | None = None
    """No downlink that is drawn is slower."""
    downlink_maximum: BytesPerSecond | None = None
    """No downlink that is drawn is faster."""
    uplink_minimum: BytesPerSecond | None = None
    """No uplink that is drawn is slower."""
    uplink_maximum: BytesPerSecond | None = None
    """No uplink that is drawn is faster."""
    latency_transfer_sigma: Sigma = 0.0
    """Standard deviation of ln(latency) from one burst of messages of a device to its next."""
    downlink_transfer_sigma: Sigma = 0.0
    """Standard deviation of ln(downlink) from one transfer of a device to its next."""
    uplink_transfer_sigma: Sigma = 0.0
    """Standard deviation of ln(uplink) from one transfer of a device to its next."""
    latency_transfer_deviation: Deviation = 0.0
    """Standard deviation of the latency over its mean, from one burst of messages of a device to its next: a truncated normal."""
    downlink_transfer_deviation: Deviation = 0.0
    """Standard deviation of the downlink over its mean, from one transfer of a device to its next: a truncated normal."""
    uplink_transfer_deviation: Deviation = 0.0
    """Standard deviation of the uplink over its mean, from one transfer of a device to its next: a truncated normal."""
    latency_transfer_quantiles: FactorQuantiles | None = None
    """Quantiles of the latency from one burst of messages of a device to its next, over its median, such as `p90 2.3, p99 20`."""
    downlink_transfer_quantiles: FactorQuantiles | None = None
    """Quantiles of the downlink from one transfer of a device to its next, over its median, such as `p5 0.2, p95 3`."""
    uplink_transfer_quantiles: FactorQuantiles | None = None
    """Quantiles of the uplink from one transfer of a device to its next, over its median, such as `p5 0.2, p95 3`."""
    access_point: AccessPoint | None = None
    """A connection that so many neighbours of a group share; left out: each has its own."""
    radio_states: RadioStates | None = None
    """When the radio sleeps, and what waking it takes; left out: it is always awake."""
    lora: LoRa | None = None
    """A LoRa radio, in place of rates."""
    time_of_day: TimeOfDay | None = None
    """What the hour of the day does to rates and latency; left out: nothing."""

    @model_validator(mode="after")
    def _spreads_what_can_spread(self) -> Self:
        for key in SPREAD:
            ways = [f"{key}_{way}" for way in (*_BETWEEN, *_TRANSFER) if getattr(self, f"{key}_{way}")]
            if ways and math.isinf(getattr(self, key)):
                raise ValueError(f"{ways[0]} spreads the {key}, but the {key} is unlimited: give it a rate")
            for family in (_BETWEEN, _TRANSFER):
                said = [f"{key}_{way}" for way in family if getattr(self, f"{key}_{way}")]
                if len(said) > 1:
                    raise ValueError(f"{said[0]} and {said[1]} both say how the {key} spreads: give one of them")
            _check_bounds(self, key)
        return self

    @model_validator(mode="after")
    def _has_one_kind_of_radio(self) -> Self:
        if self.lora is not None:
            stated = [key for key in ("radio_states", "access_point", "time_of_day") if getattr(self, key) is not None]
            spreads = [f"{key}_{way}" for key in SPREAD[1:] for way in (*_BETWEEN, *_TRANSFER) if getattr(self, f"{key}_{way}")]
            if stated or spreads:
                raise ValueError(f"lora has packets and a channel of its own, so {(stated + spreads)[0]} says nothing here: leave it out")
        return self


def _check_bounds(link: _Link, key: str) -> None:
    least, most = bounds(link, key)
    below = [value for percentage, value in getattr(link, f"{key}_quantiles") or () if percentage < 50]
    above = [value for percentage, value in getattr(link, f"{key}_quantiles") or () if percentage > 50]
    middle: float = getattr(link, key)
    if not least <= middle <= most or (least == most and getattr(link, f"{key}_minimum") is not None and least != middle):
        raise ValueError(f"the {key} must be between {key}_minimum and {key}_maximum: it is the median")
    if any(value >= middle for value in below) or any(value <= middle for value in above):
        raise ValueError(f"the {key} is the median: {key}_quantiles below p50 must be less, those above more")


def bounds(link: _Link, key: str) -> tuple[float, float]:
    """The least and the most that a draw of `latency`, `downlink` or `uplink` can be."""
    least, most = getattr(link, f"{key}_minimum"), getattr(link, f"{key}_maximum")
    return 0.0 if least is None else least, math.inf if most is None else most


@final
class NetworkProfile(_Link):
    """A network as the simulation knows it; quantities in base units."""

    name: str
    """The name in the catalog, or `custom`."""

    @property
    def has_spread(self) -> bool:
        """Whether devices on this network differ."""
        return any(getattr(self, f"{key}_{way}") for key in SPREAD for way in _BETWEEN)

    @property
    def has_variation(self) -> bool:
        """Whether anything but the jitter differs from transfer to transfer."""
        own = self.latency_transfer_sigma or self.latency_transfer_deviation or self.latency_transfer_quantiles
        down = self.downlink_transfer_sigma or self.downlink_transfer_deviation or self.downlink_transfer_quantiles
        return bool(own or down or self.uplink_transfer_sigma or self.uplink_transfer_deviation or self.uplink_transfer_quantiles)

    def varies(self, key: str) -> bool:
        """Whether `latency`, `downlink` or `uplink` differ from transfer to transfer, jitter aside."""
        return any(getattr(self, f"{key}_{way}") for way in _TRANSFER)

    def drawn(self, generator: np.random.Generator) -> "NetworkProfile":
        """The network of one device: its latency and rates drawn around the medians, no spread between devices left.

        Always takes three normals from the generator, so that removing one spread leaves the other draws as they are.
        """
        normals = generator.standard_normal(len(SPREAD))
        return self.model_copy(update=self._values(normals.tolist()))

    def _values(self, normals: Sequence[float]) -> dict[str, Any]:
        update: dict[str, Any] = {}
        for key, normal in zip(SPREAD, normals, strict=True):
            update |= {key: self.between(key, normal), f"{key}_sigma": 0.0, f"{key}_quantiles": None}
        return update

    def between(self, key: str, normal: float) -> float:
        """What a device has of `latency`, `downlink` or `uplink` whose normal score is `normal`."""
        median: float = getattr(self, key)
        least, most = bounds(self, key)
        if (points := getattr(self, f"{key}_quantiles")) is not None:
            value = median * from_quantiles(normal, _over(points, median))
        elif median > 0.0:
            value = median * log_normal(normal, getattr(self, f"{key}_sigma"), least / median, most / median)
        else:
            value = median
        return min(max(value, least), most)

    def in_transfer(self, key: str, normal: float) -> float:
        """What a device's `latency`, `downlink` or `uplink` is in a transfer whose normal score is `normal`."""
        own: float = getattr(self, key)
        least, most = bounds(self, key)
        if (points := getattr(self, f"{key}_transfer_quantiles")) is not None:
            factor = from_quantiles(normal, points)
        elif deviation := getattr(self, f"{key}_transfer_deviation"):
            factor = truncated_normal(normal, deviation)
        else:
            factor = math.exp(getattr(self, f"{key}_transfer_sigma") * normal)
        return min(max(own * factor, least), most)

    def seconds(self, direction: Literal["downlink", "uplink"], size: float) -> float:
        """How long `size` bytes typically occupy the link: at the median rate, by day, the radio awake, nobody else there."""
        if self.lora is not None:
            return self.lora.seconds(int(size), up=direction == "uplink")
        return size / float(getattr(self, direction))


def _over(points: Pairs, median: float) -> Pairs:
    return tuple((percentage, value / median) for percentage, value in points)


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
    """What a scenario says of every network of its fleet; an overridden latency or rate is the same for all devices and transfers."""

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
    access_point: AccessPoint | None = None
    """A connection that so many neighbours of a group share."""
    radio_states: RadioStates | Literal[False] | None = None
    """When radios sleep, and what waking them takes; false: they are always awake."""
    time_of_day: TimeOfDay | None = None
    """What the hour of the day does to rates and latency."""

    def applied_to(self, profile: NetworkProfile) -> NetworkProfile:
        """The profile with what is stated here in place of its own, without the spread of what is overridden.

        A stated rate takes the place of a LoRa radio.
        """
        stated: dict[str, Any] = {key: getattr(self, key) for key in type(self).model_fields if getattr(self, key) is not None}
        for key in SPREAD:
            if key in stated:
                stated |= {f"{key}_{way}": nothing for way, nothing in _OF_SPREAD.items()}
        if self.radio_states is False:
            stated["radio_states"] = None
        if "downlink" in stated or "uplink" in stated:
            stated["lora"] = None
        return profile.model_copy(update=stated)
