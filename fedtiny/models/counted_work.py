"""What torch code of which nothing is known did, counted while it ran; torch-free facts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedtiny.models.summary import RateClass


@dataclass(frozen=True)
class CountedWork:
    """What one piece of work did; nothing, where nothing was counted."""

    forward: Mapping[RateClass, float] = field(default_factory=dict)
    """Multiply-accumulates outside backward passes, by class of operator."""
    backward: Mapping[RateClass, float] = field(default_factory=dict)
    """Those of backward passes."""
    operations: int = 0
    """How many operations had any."""
    steps: int = 0
    """Steps of optimizers."""
    groups: int = 0
    """How many groups of convolutions with several of them were gone through, forward and backward."""
    memory: int | None = None
    """Bytes at the peak; None where nothing was trained."""

    @property
    def macs(self) -> float:
        """All multiply-accumulates."""
        return sum(self.forward.values()) + sum(self.backward.values())
