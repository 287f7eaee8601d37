"""What a foreign app's work costs a device, from the best source that there is.

1. **reported**: a MetricRecord of the reply says `fedtiny.seconds`, or `fedtiny.macs` (`fedtiny.macs.depthwise` and so on for other classes
   of operators than dense_gemm), or `fedtiny.steps`;
2. **counted**: what torch did while the app ran (training/counted_work.py);
3. **declared**: what the scenario says under `app`;
4. **host time**: the seconds on this machine, times a factor. Two runs then differ. Work that failed before torch did anything that
   could be counted takes no time instead.

Memory is the first of `fedtiny.memory` (bytes), counted, declared that there is; else it is unknown, and fits. Multiply-accumulates need a
device with rates and steps one with a step_time; on others the next source is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from flwr.app import Message

from fedtiny.apps.observed import Observed
from fedtiny.costs.counted import counted_seconds
from fedtiny.costs.paging import paging_seconds
from fedtiny.fleet.device import DeviceProfile
from fedtiny.fleet.fleet import Traits
from fedtiny.models.counted_work import CountedWork
from fedtiny.models.summary import RateClass
from fedtiny.scenario.app_schema import AppCosts, DeclaredWork

Source = Literal["reported", "counted", "declared", "host time"]
SOURCES: Final[tuple[Source, ...]] = get_args(Source)

SECONDS: Final = "fedtiny.seconds"
MACS: Final = "fedtiny.macs"
STEPS: Final = "fedtiny.steps"
MEMORY: Final = "fedtiny.memory"
_CLASSES: Final[tuple[RateClass, ...]] = get_args(RateClass)


@dataclass(frozen=True)
class WorkCost:
    """What answering one message costs a device."""

    seconds: float
    """Of its processor, cool."""
    macs: float
    memory: int | None
    """Bytes at the peak; None where it is not known."""
    paging: float
    """Seconds in which the processor waits for storage."""
    source: Source
    """Where the seconds come from."""


def work_cost(reply: Message, observed: Observed, traits: Traits, costs: AppCosts) -> WorkCost:
    """The cost of the work that led to this reply."""
    numbers = _reported(reply)
    declared = costs.declared(reply.metadata.message_type)
    seconds, macs, source = _time(numbers, observed, declared, traits, costs, failed=reply.has_error())
    sources = (numbers.get(MEMORY), observed.counted.memory, None if declared is None else declared.memory)
    memory = next((int(found) for found in sources if found is not None), None)
    rounds = max(1, observed.counted.steps)
    paging = 0.0 if memory is None else rounds * paging_seconds(memory, traits.device)
    return WorkCost(seconds, macs, memory, paging, source)


def fits(cost: WorkCost, device: DeviceProfile) -> bool:
    """Whether the device has the memory, or storage to page to."""
    return cost.memory is None or cost.memory <= device.memory or device.paging is not None


def _time(
    numbers: Mapping[str, float], observed: Observed, declared: DeclaredWork | None, traits: Traits, costs: AppCosts, *, failed: bool
) -> tuple[float, float, Source]:
    """Seconds, multiply-accumulates and where the seconds come from."""
    reported, counted = _as_work(numbers), observed.counted
    macs = reported.macs or counted.macs
    if SECONDS in numbers:
        return numbers[SECONDS], macs, "reported"
    if (seconds := counted_seconds(reported, traits.device)) is not None:
        return seconds / traits.speed, macs, "reported"
    if (seconds := counted_seconds(counted, traits.device)) is not None:
        return seconds / traits.speed, macs, "counted"
    if declared is not None and (seconds := _declared(declared, traits)) is not None:
        return seconds, macs or declared.macs or 0.0, "declared"
    if failed:
        return 0.0, macs, "counted"
    return costs.host_time_factor * observed.host_seconds, macs, "host time"


def _declared(declared: DeclaredWork, traits: Traits) -> float | None:
    if declared.seconds is not None:
        return declared.seconds
    if declared.macs == 0 or declared.steps == 0:
        return 0.0
    work = CountedWork({declared.rate: declared.macs or 0.0}, steps=declared.steps or 0)
    seconds = counted_seconds(work, traits.device)
    return None if seconds is None else seconds / traits.speed


def _as_work(numbers: Mapping[str, float]) -> CountedWork:
    macs: dict[RateClass, float] = {kind: numbers[f"{MACS}.{kind}"] for kind in _CLASSES if f"{MACS}.{kind}" in numbers}
    if MACS in numbers:
        macs["dense_gemm"] = macs.get("dense_gemm", 0.0) + numbers[MACS]
    return CountedWork(macs, steps=int(numbers.get(STEPS, 0)))


def _reported(reply: Message) -> dict[str, float]:
    """What the app itself says of its work: numbers that are not negative."""
    if not reply.has_content():
        return {}
    records = reply.content.metric_records.values()
    found = {key: value for record in records for key, value in record.items() if key.startswith("fedtiny.")}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float) and value >= 0}
