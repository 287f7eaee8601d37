"""How far a run is: what `experiment.run` tells whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedtiny.recording import Version


@dataclass(frozen=True)
class Progress:
    """How far a run is: rounds done and wanted (None: unknown), virtual seconds, accuracy if it was evaluated; or a phase before time 0."""

    phase: str
    done: int
    total: int | None
    virtual_time: float = 0.0
    accuracy: float | None = None
    until: float | None = None
    """Virtual seconds with which the run ends, if its rounds do not end it before."""
    target: float | None = None
    """The accuracy with which it ends, if nothing ends it before."""
    version: "Version | None" = None
    """The version of the global model that the server now holds; None before time 0, and without learning."""


Report = Callable[[Progress], None]
