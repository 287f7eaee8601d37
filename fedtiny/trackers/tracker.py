"""What a program that shows runs is told."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from fedtiny.trackers.measures import Measured

Ending = Literal["done", "failed", "interrupted"]


class Tracker(Protocol):
    """A run in such a program, open until it is closed."""

    def write(self, measured: Sequence[Measured]) -> None:
        """Versions of the global model, by round and by virtual time."""
        ...

    def close(self, ending: Ending, summary: Mapping[str, Any], virtual_time: float) -> None:
        """The run has ended, with this summary of run.json (empty unless it is done) and so many virtual seconds."""
        ...
