"""What a device's work costs in joules.

    E = P_active t_compute + P_idle t_wait + bytes_down e_down + bytes_up e_up + P_promotion t_promotion + P_tail t_tail

with powers in watts, times in seconds and e in joules per byte; t_wait is all time on that is not spent computing, transfers
included, whose radio is in e; t_promotion and t_tail are those of a radio that sleeps (fleet/radio_states.py), whose powers come on top
of the rest of the device. A term that is not known makes the sum unknown: None, never 0. Which activity has which term is
docs/background/energy.md.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fedtiny.fleet.device import Power
from fedtiny.fleet.radio_states import RadioStates

Quantity = TypeVar("Quantity", float, NDArray[np.float64])
"""One amount, or an array of them."""


def compute_energy(power: Power | None, seconds: Quantity) -> Quantity | None:
    """Joules of computing for so many seconds; None where the device's power is not known."""
    return None if power is None else power.active * seconds


def waiting_energy(power: Power | None, seconds: Quantity) -> Quantity | None:
    """Joules of being on without computing for so many seconds; None where the device's power is not known."""
    return None if power is None else power.idle * seconds


def transfer_energy(size: Quantity, joules_per_byte: float | None) -> Quantity | None:
    """Joules of moving `size` bytes over the device's link in one direction; None where the cost of a byte is not known."""
    return None if joules_per_byte is None else size * joules_per_byte


def radio_energy(states: RadioStates | None, seconds: Quantity, *, wakes: bool) -> Quantity | None:
    """Joules of a radio that wakes for so many seconds, or of its tail; None where its power then is not known."""
    power = None if states is None else states.promotion_power if wakes else states.tail_power
    return None if power is None else power * seconds


def total_energy(*terms: float | None) -> float | None:
    """The sum of terms in joules; None where any of them is not known."""
    known = [term for term in terms if term is not None]
    return sum(known) if len(known) == len(terms) else None
