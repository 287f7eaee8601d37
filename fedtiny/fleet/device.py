"""Devices: how much memory they have for training, how fast they train and what they draw.

A device is timed in one of two ways. `rates` are *effective training* multiply-accumulates per second by class of operator:
forward and backward passes counted, everything that the runtime loses already in them, so that

    seconds of a pass over one layer = MACs of the pass / rate[class of the layer]

More is stated where it is known: `backward_factor` where backward passes run slower than forward ones, `memory_bandwidth`, and
`dispatch_overhead` and `group_overhead`, the seconds that the runtime takes to start an operator and a group of a convolution, whatever
their size (costs/compute.py has the whole formula);
and what happens when the device is worked hard, `throttling` and `paging` (limits.py).

`step_time` is the time of one local step, whatever the scheme or batch; it is for tests and thought experiments. One rate
for all operators would not do: on the same Raspberry Pi, dense convolutions train a hundred times faster than depthwise ones.

`memory` is the budget that training may use, not the RAM of the device.

A `serial` device pulls a message, runs it and pushes the reply, one after the other, as a stock Flower SuperNode does (requests.py).
"""

from typing import Annotated, Any, Final, Literal, Self, final

from pydantic import Field, model_validator

from fedtiny.fleet.limits import Paging, Throttling
from fedtiny.fleet.requests import Requests
from fedtiny.parts import Part
from fedtiny.units import Bytes, BytesPerSecond, MacsPerSecond, PositiveSeconds, Seconds, Watts

Runtime = Literal["overlapping", "serial"]
"""Whether a device can transfer while it trains, or does one message at a time (such as a stock Flower SuperNode)."""

SERIAL_KEYS: Final = ("polling_interval", "start_up", "requests")
"""What only a serial runtime has."""

_ABOUT_OPERATORS: Final = ("dispatch_overhead", "dispatched", "convolution_overhead", "group_overhead", "backward_factor", "weight_factor")
"""What says how operators are timed, and so goes with rates only."""

Factor = Annotated[float, Field(gt=0)]
Cycles = Annotated[float, Field(gt=0)]
Interval = Annotated[Seconds, Field(json_schema_extra={"default": "0 s"})]

Dispatched = Literal["layers", "operators"]
"""What a device's dispatch overhead is paid for: each layer and gradient, or each operator that torch starts (costs/compute.py)."""

MICROCONTROLLER: Final = "microcontroller"
"""The class of devices that have no virtual memory, and so never page."""

CUSTOM: Final = "custom"
"""Name and class of a device, and name of a network, that a scenario describes itself."""


@final
class Rates(Part):
    """Effective training speed by class of operator, in multiply-accumulates per second."""

    dense_gemm: MacsPerSecond
    """Linear layers and other products with a matrix of weights."""
    dense_convolution: MacsPerSecond
    """Convolutions of one group."""
    depthwise: MacsPerSecond
    """Convolutions with one channel per group."""
    recurrent: MacsPerSecond
    """Recurrent layers, such as LSTM and GRU."""
    pointwise_convolution: MacsPerSecond | None = None
    """1x1 convolutions of one group; left out: as dense_convolution. With dispatched: operators, convolutions that torch computes without
    its library."""
    grouped_convolution: MacsPerSecond | None = None
    """Convolutions in several groups with several channels each; left out: as dense_convolution."""
    attention: MacsPerSecond | None = None
    """Products of two activations, as in attention; left out: as dense_gemm."""

    @model_validator(mode="before")
    @classmethod
    def _names_every_class(cls, value: Any) -> Any:
        known = list(cls.model_fields)
        if isinstance(value, dict) and all(key in known for key in value):
            missing = [key for key, field in cls.model_fields.items() if field.is_required() and key not in value]
            if missing:
                raise ValueError(
                    f"rates must name all four classes of operators, missing: {', '.join(missing)}. A class left out would be a silent "
                    "guess: where the device does two classes alike, or the network has no such layers, write the same rate again"
                )
        return value


@final
class BackwardFactors(Part):
    """How many times as long as a forward pass over as many multiply-accumulates a backward pass takes, by class of operator."""

    dense_gemm: Factor = 1.0
    """Linear layers and other products with a matrix of weights."""
    dense_convolution: Factor = 1.0
    """Convolutions of one group."""
    depthwise: Factor = 1.0
    """Convolutions with one channel per group."""
    recurrent: Factor = 1.0
    """Recurrent layers."""
    pointwise_convolution: Factor = 1.0
    """1x1 convolutions of one group."""
    grouped_convolution: Factor = 1.0
    """Convolutions in several groups with several channels each."""
    attention: Factor = 1.0
    """Products of two activations."""


@final
class Power(Part):
    """What a device draws, its radio's energy per byte not included, in watts."""

    idle: Watts
    """While on and waiting."""
    active: Watts
    """While training."""


class _Capabilities(Part):
    """What profiles and custom devices have in common."""

    memory: Bytes
    """Memory that training may use, in bytes: not the device's RAM."""
    rates: Rates | None = None
    """Effective training speed by class of operator; this or step_time."""
    step_time: PositiveSeconds | None = None
    """Seconds of one local step, whatever the scheme or batch; this or rates."""
    memory_bandwidth: BytesPerSecond | None = None
    """Bytes per second between processor and memory; where given, no pass of a layer is faster than its bytes allow."""
    dispatch_overhead: Interval = 0.0
    """Seconds that the runtime takes to start an operator; for devices with rates."""
    dispatched: Dispatched = "layers"
    """What dispatch_overhead is paid for: `layers`, one operator each and for each of its gradients; `operators`, all that torch
    starts, also inside layers, between them and for the update, whose bytes then count, too."""
    convolution_overhead: Interval = 0.0
    """Seconds more that torch takes to hand a convolution to its library (oneDNN); with dispatched: operators."""
    group_overhead: Interval = 0.0
    """Seconds that a runtime takes for each group of a convolution which it works on one after the other; for devices with rates."""
    backward_factor: BackwardFactors = BackwardFactors()
    """How much slower than forward passes backward passes are, by class of operator; for devices with rates."""
    weight_factor: BackwardFactors | None = None
    """The same of passes for the gradient of a weight, where they differ from others; left out: as backward_factor."""
    throttling: Throttling | None = None
    """How it slows down when it works for long; without it, it does not."""
    paging: Paging | None = None
    """Storage that takes what training needs beyond `memory`; without it, what does not fit is refused. Microcontrollers never page."""
    power: Power | None = None
    """Watts while idle and active; without it the energy of the device is unknown."""
    flash_erase_block: Bytes | None = None
    """Bytes that the flash in which the device keeps the model erases at once; left out: it keeps it elsewhere, or nobody knows."""
    flash_endurance: Cycles | None = None
    """How often each of those blocks can be erased."""
    runtime: Runtime = "overlapping"
    """`overlapping` transfers while it trains; `serial` does one message at a time, as a stock Flower SuperNode does."""
    polling_interval: Interval = 0.0
    """Seconds between two looks for messages of a `serial` device that has none; 0: it notices them at once."""
    start_up: Interval = 0.0
    """Seconds of processor time that a `serial` device spends on every message before its work begins: a new process, its imports."""
    requests: Requests | None = None
    """The requests of which a message of a `serial` device consists; left out: it comes in one latency, and its reply leaves in one."""

    @model_validator(mode="after")
    def _waits_as_its_runtime_does(self) -> Self:
        stated = [key for key in SERIAL_KEYS if getattr(self, key)]
        if stated and self.runtime != "serial":
            raise ValueError(f"{stated[0]} is how a serial runtime works: add runtime: serial, or leave it out")
        return self

    @model_validator(mode="after")
    def _starts_operators_only_where_they_are_timed(self) -> Self:
        stated = [key for key in _ABOUT_OPERATORS if getattr(self, key) != type(self).model_fields[key].default]
        if self.rates is None and stated:
            raise ValueError(f"{stated[0]} is about operators, and a step_time knows none: give rates instead, or leave it out")
        return self

    @model_validator(mode="after")
    def _hands_convolutions_over_where_operators_count(self) -> Self:
        if self.convolution_overhead and self.dispatched != "operators":
            raise ValueError("convolution_overhead is paid where all operators count: add dispatched: operators, or leave it out")
        return self

    @model_validator(mode="after")
    def _is_timed_in_one_way(self) -> Self:
        if (self.rates is None) == (self.step_time is None):
            found = "neither" if self.rates is None else "both"
            raise ValueError(f"a device needs exactly one of step_time (such as '100 ms') and rates (four classes), found {found}")
        return self


@final
class DeviceProfile(_Capabilities):
    """A device as the simulation knows it; quantities in base units."""

    name: str
    """The name in the catalog, or `custom`."""
    device_class: str
    """microcontroller, single_board_computer, phone, edge_gpu, or custom."""

    @model_validator(mode="after")
    def _pages_only_with_storage_below_an_operating_system(self) -> Self:
        if self.device_class == MICROCONTROLLER and self.paging is not None:
            raise ValueError("a microcontroller has no virtual memory and cannot page: leave out paging")
        return self


@final
class CustomDevice(_Capabilities):
    """A device that the scenario describes itself."""

    kind: Literal["custom"]
    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    """What tables and figures call it; left out: custom."""

    def profile(self) -> DeviceProfile:
        """The device as the simulation knows it."""
        plain = self.to_plain()
        del plain["kind"]
        return DeviceProfile.model_validate({**plain, "name": self.name or CUSTOM, "device_class": CUSTOM})


@final
class DeviceOverride(Part):
    """What a scenario says of every device of its fleet, whatever its profile says."""

    memory: Bytes | None = None
    """Memory that training may use, in bytes."""
    rates: Rates | None = None
    """Effective training speed by class of operator; takes the place of a step_time."""
    step_time: PositiveSeconds | None = None
    """Seconds of one local step, whatever the scheme or batch; takes the place of rates."""
    memory_bandwidth: BytesPerSecond | None = None
    """Bytes per second between processor and memory."""
    dispatch_overhead: Seconds | None = None
    """Seconds that the runtime takes to start an operator."""
    dispatched: Dispatched | None = None
    """What dispatch_overhead is paid for."""
    convolution_overhead: Seconds | None = None
    """Seconds more that torch takes to hand a convolution to its library; needs dispatched: operators here."""
    group_overhead: Seconds | None = None
    """Seconds that the runtime takes for each group of a convolution."""
    backward_factor: BackwardFactors | None = None
    """How much slower than forward passes backward passes are, by class of operator."""
    weight_factor: BackwardFactors | None = None
    """The same of passes for the gradient of a weight."""
    throttling: Throttling | Literal[False] | None = None
    """How devices slow down that work for long; `false`: they do not, whatever their profiles say."""
    paging: Paging | Literal[False] | None = None
    """Storage that takes what training needs beyond the memory, on all devices but microcontrollers; `false`: nothing pages, and
    what does not fit is out of memory."""
    power: Power | None = None
    """Watts while idle and active."""
    flash_erase_block: Bytes | None = None
    """Bytes that the flash in which devices keep the model erases at once."""
    flash_endurance: Cycles | None = None
    """How often each of those blocks can be erased."""
    runtime: Runtime | None = None
    """Whether devices transfer while they train; `overlapping` takes away what only a serial runtime has."""
    polling_interval: Seconds | None = None
    """Seconds between two looks for messages of serial devices that have none; needs runtime: serial here, whatever the profiles say."""
    start_up: Seconds | None = None
    """Seconds of processor time that serial devices spend on every message before its work begins; needs runtime: serial here."""
    requests: Requests | None = None
    """The requests of which a message of serial devices consists; needs runtime: serial here."""

    @model_validator(mode="after")
    def _times_in_one_way(self) -> Self:
        if self.rates is not None and self.step_time is not None:
            raise ValueError("override step_time or rates, not both: each takes the place of the other")
        return self

    @model_validator(mode="after")
    def _hands_convolutions_over_where_operators_count(self) -> Self:
        if self.convolution_overhead and self.dispatched != "operators":
            raise ValueError("convolution_overhead is paid where all operators count: add dispatched: operators beside it, or leave it out")
        return self

    @model_validator(mode="after")
    def _waits_as_its_runtime_does(self) -> Self:
        stated = [key for key in SERIAL_KEYS if getattr(self, key) is not None]
        if stated and self.runtime != "serial":
            raise ValueError(f"{stated[0]} is how a serial runtime works: add runtime: serial beside it, or leave it out")
        return self

    def applied_to(self, profile: DeviceProfile) -> DeviceProfile:
        """The profile with what is stated here in place of its own; a rate takes the place of a step time and the other way round."""
        stated = {key: getattr(self, key) for key in type(self).model_fields if getattr(self, key) is not None}
        stated |= {key: None for key in ("throttling", "paging") if getattr(self, key) is False}
        if profile.device_class == MICROCONTROLLER:
            stated["paging"] = None
        if self.step_time is not None:
            stated |= {key: type(profile).model_fields[key].default for key in ("rates", *_ABOUT_OPERATORS)}
        if self.rates is not None:
            stated["step_time"] = None
        if self.dispatched == "layers":
            stated["convolution_overhead"] = 0.0
        if self.runtime == "overlapping":
            stated |= {key: type(profile).model_fields[key].default for key in SERIAL_KEYS}
        return profile.model_copy(update=stated)
