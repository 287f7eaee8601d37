"""Work that the server sends a device: what it takes, and what becomes of it."""

from dataclasses import dataclass
from typing import Protocol

from fedtiny.simulation.trace import Kind


@dataclass(frozen=True)
class Execution:
    """What one piece of work took: virtual seconds on a cool processor, MACs, the reply's size in bytes, and seconds that the processor
    waited for storage because the memory was too small."""

    seconds: float
    macs: float
    reply_bytes: int
    reply_payload_bytes: int
    kind: Kind = "train"
    failed: bool = False
    paging: float = 0.0


class Work(Protocol):
    """One message on its way through a device."""

    round: int
    attempt: int
    """How often the device was asked for this before; see dropout.py."""
    bytes: int
    payload_bytes: int

    def begin(self) -> Execution | None:
        """The processor's turn: what the work takes; None for a message whose lifetime is over, which is not worked on."""

    def deliver(self) -> bool:
        """Hands the reply to the server and says whether it was still awaited."""

    def abandon(self) -> None:
        """The device has dropped out: there will be no reply."""

    def lose(self, after: float) -> None:
        """The device has left and there will be no reply, which the server is told after so many seconds."""
