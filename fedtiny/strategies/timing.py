"""The timing half of a strategy: who is asked what and when, without messages, content or training.

A timing half is a function that runs the server's loop on an `Exchange`, and one that foresees what a client does with an
instruction. Both follow the rules of the strategy's real halves in plain numbers, so that the activities are those of a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from fedtiny.federation.foresight import Course, Foresight
from fedtiny.simulation.exchange import Exchange, Instruction
from fedtiny.strategies.base import require_devices
from fedtiny.strategies.message_forms import Forms


class OnVersion(Protocol):
    """Called with the round and its delay (local steps; None without one) for every version of the global model; 0 is the initial one."""

    def __call__(self, number: int, delay: int | None = None, /) -> None:
        """A version was made."""


@dataclass(frozen=True)
class Terms:
    """What a timing half goes by, beside its strategy."""

    nodes: Sequence[int]
    """The running numbers of the devices that take part, ascending."""
    sample: Callable[[Sequence[int], int], list[int]]
    """Draws so many of them, as Python's `random.sample` under the run's seed."""
    local_steps: int
    rounds: int
    learning_rate: float
    sums_updates: bool
    """Whether the optimizer's steps are more than a gradient times one rate; see round_rates.py."""
    forms: Forms
    on_version: OnVersion


Foresee = Callable[[Instruction, Course], Foresight]
"""What a client's answer to an instruction will be like; moves its course past it."""


def gather(exchange: Exchange, terms: Terms, wanted: int) -> Sequence[int]:
    """Lets time pass until so many devices are there, and gives those that are, ascending; RoundError where so many will never be."""
    there = terms.nodes if exchange.roll is None else exchange.roll.gather(wanted, lambda: exchange.now, exchange.sleep, exchange.trace)
    require_devices(wanted, len(there))
    return there
