"""What one local step costs a device: computing, and waiting for storage where its memory is too small."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedtiny.costs.compute import step_macs, step_seconds
from fedtiny.costs.paging import paging_seconds
from fedtiny.fleet.device import DeviceProfile
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a step, or some of them, take."""

    computing: float
    """Virtual seconds of the processor, while it is cool."""
    macs: float
    """Multiply-accumulates, forward and backward, of the whole batch."""
    paging: float = 0.0
    """Virtual seconds in which the processor waits for storage."""

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.computing + self.paging

    def at(self, speed: float) -> "StepCost":
        """The same on a device that computes so many times as fast."""
        return self if speed == 1.0 else StepCost(self.computing / speed, self.macs, self.paging)


def total_cost(costs: Sequence[StepCost]) -> StepCost:
    """What several steps take together."""
    return StepCost(sum(cost.computing for cost in costs), sum(cost.macs for cost in costs), sum(cost.paging for cost in costs))


def step_cost(summary: ModelSummary, plan: UpdatePlan, batch_size: int, device: DeviceProfile, needed: int) -> StepCost:
    """The cost of a step on a batch; `needed` is what it takes of the device's memory (bytes)."""
    macs = sum(step_macs(summary, plan).values()) * batch_size
    return StepCost(step_seconds(summary, plan, batch_size, device), macs, paging_seconds(needed, device))
