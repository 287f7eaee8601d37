"""Batteries: what devices have to live on, and when they are charged.

A battery is a store of energy: whatever the device draws is taken from it, whatever its charger gives is put into it until it is full. What
a cell loses by its resistance, by cold, age or lying about is not modelled. `refuses_below` and `resumes_above` are shares of the capacity:

    charge < refuses_below     the device begins no new work, and finishes what it does
    charge = 0                 the device is off: it is away, and draws nothing
    charge = resumes_above     a device that was off is on again

How the charge runs is simulation/battery.py.
"""

import math
from typing import Annotated, Final, Literal, Self, final

from pydantic import Field, model_validator

from fedtiny.fleet.time_of_day import DAY, HOUR
from fedtiny.parts import Part
from fedtiny.units import StoredJoules, Watts

Share = Annotated[float, Field(ge=0, le=1)]
Hour = Annotated[float, Field(ge=0, lt=24)]


@final
class Between(Part):
    """Charges spread evenly between two shares of the capacity."""

    least: Share
    """The smallest share."""
    most: Share
    """The largest share."""

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"least {self.least} is above most {self.most}: swap them")
        return self


@final
class Plugged(Part):
    """A device that is always on its charger."""

    kind: Literal["plugged"]
    power: Watts
    """What the charger gives (W)."""

    def watts(self, now: float, *, online: bool) -> tuple[float, float]:
        """What it gives at a virtual time (s), and until when (s); `online`: whether the device is there by its availability."""
        return self.power, math.inf


@final
class Daily(Part):
    """A device that is on its charger every day from one hour to another, such as at night."""

    kind: Literal["daily"]
    power: Watts
    """What the charger gives (W)."""
    begins: Hour
    """The hour of the day at which charging begins, such as 22.5 for half past ten in the evening."""
    ends: Hour
    """The hour of the day at which it ends; may be on the next day."""
    starts_at: Hour = 0.0
    """The hour of the day at virtual time 0."""

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.begins == self.ends:
            raise ValueError("charging begins and ends at the same hour: for a device that is always charged, use kind: plugged")
        return self

    def watts(self, now: float, *, online: bool) -> tuple[float, float]:
        """See `Plugged.watts`."""
        begin, end = self._next(self.begins, now), self._next(self.ends, now)
        return (self.power, end) if end < begin else (0.0, begin)

    def _next(self, hour: float, now: float) -> float:
        """The first moment (s) after now at which the day's clock shows this hour."""
        offset = (hour - self.starts_at) * HOUR
        days = math.floor((now - offset) / DAY)
        return next(moment for day in (days, days + 1, days + 2) if (moment := offset + day * DAY) > now)


@final
class WithSession(Part):
    """A device that is on its charger while its availability says that it is there: phones that take part when they are plugged in."""

    kind: Literal["session"]
    power: Watts
    """What the charger gives (W)."""

    def watts(self, now: float, *, online: bool) -> tuple[float, float]:
        """See `Plugged.watts`."""
        return self.power if online else 0.0, math.inf


AnyCharging = Annotated[Plugged | Daily | WithSession, Field(discriminator="kind")]


@final
class Battery(Part):
    """The battery that each device of a group has."""

    capacity: StoredJoules
    """What it holds when it is full, as energy or as charge times voltage."""
    initial: Share | Between = 1.0
    """Its charge at virtual time 0, as a share of the capacity; {least: 0.3, most: 1.0}: drawn evenly between two, for each device."""
    charging: AnyCharging | None = None
    """When it is charged and with how much; left out: never."""
    refuses_below: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the capacity below which the device begins no new work; 0: it never refuses."""
    resumes_above: Annotated[float, Field(gt=0, le=1)] = 0.05
    """The share of the capacity at which a device that was empty is on again."""

    def initial_joules(self, uniform: float) -> float:
        """The charge (J) at time 0 of a device that drew this uniform number from [0, 1)."""
        share = self.initial
        if isinstance(share, Between):
            share = share.least + uniform * (share.most - share.least)
        return share * self.capacity


NEVER_CHARGED: Final = Plugged.model_validate({"kind": "plugged", "power": "0 W"})
"""What charges a battery that nothing charges."""
