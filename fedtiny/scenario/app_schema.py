"""AppScenario: what can be said about a run of somebody's own Flower app: on which fleet, until when, and what its work costs.

The app brings its own network, data, training and strategy, so a scenario for it names none of them: only name and fleet are required.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import Field, Strict, field_validator, model_validator

from fedtiny.fleet.device import DeviceOverride
from fedtiny.fleet.fleet import FleetGroup
from fedtiny.fleet.network import NetworkOverride
from fedtiny.fleet.population import Population
from fedtiny.fleet.sharing import FREE_SERVER, ServerLink
from fedtiny.models.summary import RateClass
from fedtiny.parts import Part
from fedtiny.scenario.schema import Name
from fedtiny.units import Bytes, CarbonIntensity, PositiveSeconds, Seconds

_MESSAGE_TYPE: Final = re.compile(r"(train|evaluate|query)(\.[^\W\d]\w*)?")
_LARGEST_SEED: Final = 2**63 - 1


class DeclaredWork(Part):
    """What answering one message costs a device, where neither the app reports it nor FedTiny can count it."""

    seconds: Seconds | None = None
    """Seconds of virtual time on every device."""
    macs: Annotated[float, Field(ge=0)] | None = None
    """Multiply-accumulates, forward and backward, at the device's own rate; needs devices with rates."""
    rate: RateClass = "dense_gemm"
    """The class of operators that `macs` are of."""
    steps: Annotated[int, Field(ge=0)] | None = None
    """Local steps, on devices with a step_time."""
    memory: Bytes | None = None
    """Bytes of memory at the peak; left out: unknown, and it fits."""

    @model_validator(mode="after")
    def _says_how_long(self) -> Self:
        if self.seconds is None and self.macs is None and self.steps is None and self.memory is None:
            raise ValueError(
                "say what the work costs: seconds (such as '2 s'), macs (of devices with rates), steps (of those with a step_time)"
            )
        if self.seconds is not None and (self.macs is not None or self.steps is not None):
            raise ValueError("seconds are the same on every device, and macs and steps are not: give one or the other")
        return self


class AppCosts(Part):
    """What a Flower app's work costs, where the app itself does not report it (docs/guides/flower_apps.md)."""

    count: bool = True
    """Whether the work of torch is counted while the app runs: multiply-accumulates, optimizer steps and memory; `false` goes straight to
    what is declared here."""
    work: dict[str, DeclaredWork] = Field(default_factory=dict)
    """By type of message, such as train, evaluate, query or train.my_action: what a message of that type costs; `train` stands for all of
    its actions that are not named."""
    host_time_factor: Annotated[float, Field(ge=0)] = 1.0
    """What is neither reported, counted nor declared takes so many times the seconds that it took on this machine, which is not the same
    twice; 0: no time at all."""

    @field_validator("work")
    @classmethod
    def _names_message_types(cls, value: dict[str, DeclaredWork]) -> dict[str, DeclaredWork]:
        wrong = [name for name in value if not _MESSAGE_TYPE.fullmatch(name)]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is no type of a Flower message: expected train, evaluate or query, alone or with an action such as "
                "train.my_action"
            )
        return value

    def declared(self, message_type: str) -> DeclaredWork | None:
        """What is declared for a message of this type; None where nothing is."""
        return self.work.get(message_type) or self.work.get(message_type.split(".")[0])


class AppStop(Part):
    """When a run of an app is cut, if its server app has not ended before."""

    virtual_time: PositiveSeconds
    """After so much virtual time."""


class AppScenario(Part):
    """A fleet for somebody's own Flower app."""

    name: Name
    """Letters, digits, '_', '.', '-'; names the run's folder."""
    seed: Annotated[int, Field(ge=0, le=_LARGEST_SEED)] = 0
    """All randomness of the fleet comes from this number, and what the app draws from the global generators of Python, NumPy and torch."""
    fleet: Annotated[tuple[FleetGroup, ...], Strict(False), Field(min_length=1)] | Population
    """Who takes part: groups, so many of this device on that network; or {kind: population, ...}."""
    device: DeviceOverride | None = None
    """Keys that override those of every device of the fleet."""
    network: NetworkOverride | None = None
    """Keys that override those of every network of the fleet."""
    server: ServerLink = FREE_SERVER
    """The server's connection as its clients see it; left out: unlimited and free."""
    carbon_intensity: CarbonIntensity | None = None
    """Grams of CO2e per kilowatt-hour of the grid that devices are fed from; left out: no emissions are stated."""
    on_out_of_memory: Literal["fail", "exclude"] = "exclude"
    """What becomes of work that needs more memory than its device has: the server gets Flower's error reply of a ClientApp that was
    killed (exclude), or the run ends (fail)."""
    stop: AppStop | None = None
    """When the run is cut; left out: it ends with the server app."""
    app: AppCosts = AppCosts()
    """What the app's work costs."""

    @property
    def devices(self) -> int:
        """How many devices are enrolled."""
        return self.fleet.count if isinstance(self.fleet, Population) else sum(group.count for group in self.fleet)
