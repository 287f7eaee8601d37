"""What a device draws from its battery, and what became of the battery in a run: plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Drain:
    """What a device draws."""

    idle: float
    """Watts while it is there and its processor does nothing."""
    working: Mapping[int, float]
    """Watts while its processor works, by the kind of the activity."""
    per_byte: Mapping[int, float]
    """Joules of a byte that is moved, by the kind of the activity."""
    promotion: float = 0.0
    """Watts of its radio while it wakes."""
    tail: float = 0.0
    """Watts of its radio while it is awake and sends nothing."""


NO_DRAINS: Final[Mapping[int, Drain]] = {}
"""Of a fleet without batteries."""


@dataclass(frozen=True)
class Account:
    """What became of a battery until a run's end; joules."""

    capacity: float
    initial: float
    charged: float
    """What its charger gave."""
    drained: float
    """What the device drew."""
    charge: float
    """What is left."""
    away: tuple[tuple[float, float], ...]
    """From when to when (s) the device was off because the battery was empty."""
