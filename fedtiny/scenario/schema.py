"""Scenario: everything that can be said about one experiment.

A scenario is a part made of parts, and the parts run. Checks that need more than one of them are here; what needs the
network or the data (does it fit the memory?) is for the experiment.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, SerializeAsAny, Strict, WrapValidator, model_validator

from fedtiny.datasets.with_replacement import WithReplacement
from fedtiny.design.design_settings import Design
from fedtiny.errors import ScenarioError
from fedtiny.fleet.device import DeviceOverride
from fedtiny.fleet.fleet import FleetGroup
from fedtiny.fleet.network import NetworkOverride
from fedtiny.fleet.population import Population
from fedtiny.fleet.sharing import FREE_SERVER, ServerLink
from fedtiny.models.given_network import GivenNetwork
from fedtiny.models.mobile_model import MobileModel
from fedtiny.parts import Part
from fedtiny.scenario.choices import AnyData, AnyModel, AnyStrategy, AnyUpdate
from fedtiny.strategies.dga import DGA
from fedtiny.strategies.flower_private import PrivateFedAvg, require_count_noise
from fedtiny.strategies.flower_robust import Bulyan, Krum, MultiKrum, require_enough
from fedtiny.strategies.synchronous import FlowerRounds
from fedtiny.training.cohort_rules import Cohort
from fedtiny.training.optimizer import SGD, Optimizer
from fedtiny.units import CarbonIntensity, PositiveSeconds
from fedtiny.updates.full import Full

Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]
MOST_DEVICES: Final = 100_000
"""Of groups in a run with learning: every device has a share of the data and a row in devices.parquet."""
MOST_TIMED_DEVICES: Final = 10_000_000
"""Of a population, and without learning: devices are made when a message reaches them."""
_LARGEST_SEED: Final = 2**63 - 1


def _given_from_python(value: Any, read: Callable[[Any], AnyModel]) -> Any:
    """A network that was given from Python is taken as it is; a file cannot say it."""
    return value if isinstance(value, GivenNetwork) else read(value)


class Training(Part):
    """What a client does in a round."""

    batch_size: Count | Literal["all"] = 32
    """Examples in a step, or `all`: the client's whole data."""
    local_steps: Count = 10
    """K: optimizer steps of a client in a round."""
    pace: Literal["equal", "by_speed", "by_speed_normalized"] = "equal"
    """How many of the K steps a device takes: all of them, or in proportion to its speed, K times (median step time / its step time),
    rounded, at least one; with `normalized`, what it sends counts as if it were K."""
    optimizer: Optimizer = SGD()
    """What makes a step of a gradient."""
    precision: Literal["float32", "float64"] = "float32"
    """Floating-point type of weights, gradients and what travels."""
    frozen_weights: Literal["float", "codebook"] = "float"
    """Weights of convolutions and linear layers that nobody trains: as they are, or in eight bits each, a codebook of 256 values for
    every layer, as TinyTL keeps them."""
    cohort: Cohort | None = None
    """How the simulation trains clients whose replies are due together, which changes how fast it is and the last bits of its sums;
    left out: by a fixed rule of network and sizes, which the run folder's scenario states."""


class Stop(Part):
    """When the run ends: at whichever comes first; work under way is then cut."""

    rounds: Annotated[int, Field(ge=0)] | None = None
    """So many new versions of the global model; 0 evaluates the initial one."""
    virtual_time: PositiveSeconds | None = None
    """So much virtual time."""
    target_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None
    """This accuracy of the global model on the test set."""

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.rounds is None and self.virtual_time is None and self.target_accuracy is None:
            raise ValueError("a run must end: give at least one of rounds, virtual_time, target_accuracy")
        return self


class Evaluation(Part):
    """Evaluation of the global model on the test set, on the server: no virtual time, no bytes."""

    every: Count = 1
    """Every so many rounds; the first and the last are always evaluated."""


class Scenario(Part):
    """One experiment: who learns what from which data, how, over which network, and until when."""

    name: Name
    """Letters, digits, '_', '.', '-'; names the run's folder."""
    seed: Annotated[int, Field(ge=0, le=_LARGEST_SEED)] = 0
    """All randomness comes from this number."""
    model: SerializeAsAny[Annotated[AnyModel, WrapValidator(_given_from_python)]]
    """The network that learns."""
    data: AnyData
    """What it learns from, and how that is spread over the devices."""
    training: Training = Training()
    """How a device learns in a round."""
    update: AnyUpdate = Full()
    """Which parameters train on the devices; the others are frozen and never sent."""
    strategy: AnyStrategy
    """How the server combines what the devices send."""
    fleet: Annotated[tuple[FleetGroup, ...], Strict(False), Field(min_length=1)] | Population
    """Who takes part: groups, so many of this device on that network; or {kind: population, ...}, devices drawn from a mixture."""
    device: DeviceOverride | None = None
    """Keys that override those of every device of the fleet."""
    network: NetworkOverride | None = None
    """Keys that override those of every network of the fleet."""
    server: ServerLink = FREE_SERVER
    """The server's connection as its clients see it: what all of them together can have at once; left out: unlimited and free."""
    carbon_intensity: CarbonIntensity | None = None
    """Grams of CO2e per kilowatt-hour of the grid that devices are fed from, such as 400 g/kWh; left out: no emissions are stated."""
    accounting: Literal["tinytl", "mcu", "autograd"] = "tinytl"
    """Which accounting of training memory decides what fits: TinyTL's tables, the int8 graph of a microcontroller (its peak SRAM
    against the device's memory), or what PyTorch keeps (docs/memory.md)."""
    on_out_of_memory: Literal["fail", "exclude", "downgrade"] = "fail"
    """What becomes of devices that the update does not fit: the run is refused, they are left out, or they train the best cheaper
    update that fits."""
    stop: Stop
    """When the run ends."""
    evaluation: Evaluation = Evaluation()
    """When the global model is evaluated."""
    learning: Literal["real", "none"] = "real"
    """Whether devices really train; with `none` everything takes the same virtual time, bytes and joules, and nothing is learned."""
    design: Design | None = None
    """How `fedtiny design` finds a network for the devices; no other command reads it."""
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)] | str] | None = None
    """Axes of a sweep: key -> values, or a range such as `1 ms..5 s:7:log`; for `fedtiny sweep` only."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _check_dga(self.strategy, self.training)
        _check_quantization(self)
        _check_devices(self)
        _check_partition(self)
        _check_dropout(self)
        _check_cohort(self)
        _check_shared_links(self)
        return self

    @property
    def devices(self) -> int:
        """How many devices are enrolled."""
        return self.fleet.count if isinstance(self.fleet, Population) else sum(group.count for group in self.fleet)


def _check_dga(strategy: AnyStrategy, training: Training) -> None:
    if not isinstance(strategy, DGA):
        return
    if strategy.send == "early" and isinstance(strategy.delay, int) and strategy.delay % training.local_steps:
        raise ScenarioError(
            f"send: early needs a delay that is a multiple of training.local_steps, found delay {strategy.delay} and "
            f"{training.local_steps} local steps: change one of them, or leave out send: early",
            ("strategy", "send"),
        )


def _check_quantization(scenario: Scenario) -> None:
    quantization = scenario.model.quantization if isinstance(scenario.model, MobileModel) else None
    if quantization is None:
        return
    if scenario.model.pretrained is None:
        raise ScenarioError(
            "an int8 network needs values to be quantised and examples to be calibrated on: add model.pretrained, for example {steps: 300}",
            ("model", "quantization"),
        )
    if quantization.storage == "int8" and isinstance(scenario.strategy, DGA):
        raise ScenarioError(
            "dga corrects weights by real numbers between two steps, so devices cannot keep integers: use storage: float_master, "
            "or strategy: {kind: fedavg}",
            ("model", "quantization", "storage"),
        )


def _check_dropout(scenario: Scenario) -> None:
    strategy, fleet = scenario.strategy, scenario.fleet
    if isinstance(fleet, Population):
        place: tuple[int, ...] | None = () if fleet.dropout else None
    else:
        place = next(((place,) for place, group in enumerate(fleet) if group.dropout), None)
    if place is None or strategy.message_lifetime is not None:
        return
    synchronous = isinstance(strategy, FlowerRounds)
    if synchronous and strategy.timeout is not None:
        return
    remedy = (
        "give strategy.timeout or strategy.message_lifetime"
        if synchronous
        else f"give strategy.message_lifetime, after which {strategy.kind} learns that the work was not done and makes up for it"
    )
    raise ScenarioError(
        f"devices that drop out send no reply, and the server would wait for it for ever: {remedy} (such as 10 min), or leave out dropout",
        ("fleet", *place, "dropout"),
    )


def _check_devices(scenario: Scenario) -> None:
    devices, drawn = scenario.devices, isinstance(scenario.fleet, Population)
    most = MOST_TIMED_DEVICES if drawn or scenario.learning == "none" else MOST_DEVICES
    if devices > most:
        what = "population" if drawn else "fleet of groups"
        remedy = "" if most == MOST_TIMED_DEVICES else f", or {MOST_TIMED_DEVICES} as a population or with `learning: none`"
        raise ScenarioError(f"{devices} devices are too many: a {what} has at most {most}{remedy}", ("fleet",))
    for key in ("min_available_nodes", "min_train_nodes"):
        wanted = getattr(scenario.strategy, key)
        if wanted > devices:
            raise ScenarioError(f"waits for {wanted} devices, but the fleet has {devices}: lower it or add devices", ("strategy", key))


def _check_partition(scenario: Scenario) -> None:
    drawn, partition = isinstance(scenario.fleet, Population), scenario.data.partition
    if drawn == isinstance(partition, WithReplacement):
        return
    split = f"devices of a population draw their examples themselves, and partition {partition.kind} splits what there is: use"
    place = ("data", "partition")
    if drawn:
        raise ScenarioError(f"{split} partition: {{kind: with_replacement, examples: 100}} for a hundred or so each", place)
    raise ScenarioError(
        "partition with_replacement is for populations, and this fleet is one of groups: use iid, dirichlet or another kind, or "
        "fleet: {kind: population, ...}",
        place,
    )


def _check_shared_links(scenario: Scenario) -> None:
    if scenario.server == FREE_SERVER:
        return
    stated = scenario.network is not None and scenario.network.access_point is not None
    groups = [item for item in scenario.fleet if isinstance(item, FleetGroup)] if isinstance(scenario.fleet, tuple) else []
    if stated or any(group.network_profile().access_point is not None for group in groups):
        raise ScenarioError(
            "a transfer is shared fairly on one link: give the server a limit or devices an access_point, not both; where the server is "
            "the narrower one, leave out access_point",
            ("server",),
        )


def _check_cohort(scenario: Scenario) -> None:
    strategy = scenario.strategy
    asked = strategy.cohort_size(scenario.devices)
    match strategy:
        case Krum() | MultiKrum() | Bulyan():
            require_enough(strategy, asked)
        case PrivateFedAvg():
            require_count_noise(strategy, asked)
