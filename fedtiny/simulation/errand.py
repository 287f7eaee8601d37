"""Errands: messages in virtual time as sizes alone, what they ask for and what becomes of them (see exchange.py)."""

import math
from dataclasses import dataclass
from typing import Protocol

from fedtiny.simulation.work import Execution


@dataclass(frozen=True, slots=True)
class Instruction:
    """What the timing of a message depends on."""

    round: int
    piece: str
    """What kind of work it asks for, in the strategy's own words."""
    steps: int
    """Gradients that it asks for."""
    starts: bool
    """Whether it brings a model to start from."""
    bytes: int
    payload_bytes: int


class Effort(Protocol):
    """What a device will do with an instruction."""

    def __call__(self, number: int, instruction: Instruction) -> tuple[Execution, bool]:
        """What it takes, and whether the reply carries arrays; called when the processor turns to it, in the device's order."""


class Office(Protocol):
    """Where errands come from."""

    effort: Effort

    def ended(self, number: int) -> None:
        """A device has nothing more to do with one of its messages."""

    def arrive(self, errand: "Errand") -> bool:
        """A reply; whether its round is still open."""

    def lose(self, errand: "Errand", after: float) -> None:
        """There will be no reply, which the server is told after so many seconds."""


class Errand:
    """One message on its way through a device and back."""

    __slots__ = (
        "_exchange",
        "arrived",
        "arrived_at",
        "attempt",
        "awaited",
        "bytes",
        "carries_arrays",
        "expired",
        "instruction",
        "number",
        "payload_bytes",
        "round",
    )

    def __init__(self, exchange: Office, number: int, instruction: Instruction) -> None:
        self._exchange, self.number, self.instruction = exchange, number, instruction
        self.round, self.bytes, self.payload_bytes = instruction.round, instruction.bytes, instruction.payload_bytes
        self.attempt, self.arrived_at = 0, math.nan
        self.arrived = self.awaited = self.expired = self.carries_arrays = False

    def begin(self) -> Execution | None:
        """The processor's turn: what the work takes, or None if its lifetime is over."""
        if self.expired:
            self._exchange.ended(self.number)
            return None
        execution, self.carries_arrays = self._exchange.effort(self.number, self.instruction)
        return execution

    def deliver(self) -> bool:
        """The reply is there; whether it came in time for its round."""
        self._exchange.ended(self.number)
        return not self.expired and self._exchange.arrive(self)

    def abandon(self) -> None:
        """The device has dropped out: there will be no reply."""
        self._exchange.ended(self.number)

    def lose(self, after: float) -> None:
        """The device has left: there will be no reply, which the server is told after so many seconds."""
        self._exchange.ended(self.number)
        self._exchange.lose(self, after)
