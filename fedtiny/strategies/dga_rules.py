"""What DGA's server goes by (see dga.py for the algorithm)."""

from collections.abc import Callable
from dataclasses import dataclass

from fedtiny.strategies.base import Parts
from fedtiny.strategies.delay_choice import DelayChooser
from fedtiny.strategies.dga_orders import Schedule
from fedtiny.training.schedule import Rates


@dataclass(frozen=True)
class Rules:
    """What the server goes by.

    `rate` is what a sum counts in the model: eta, or 1 where sums are of updates; `rates` gives the learning rate of a round.
    `schedule` says where rounds are corrected; `carry`: late contributions are added to the next average.
    """

    schedule: Schedule
    chooser: DelayChooser | None
    """What chooses the delay, where it is not stated."""
    rate: float
    rates: Rates
    sums_updates: bool
    carry: bool
    timeout: float | None
    weight_key: str
    cohort_size: Callable[[int], int]
    wanted_nodes: int
    """How many devices must be there when a round asks some of them."""
    parts: Parts | None
    """In a mixed fleet, what each client trains."""
