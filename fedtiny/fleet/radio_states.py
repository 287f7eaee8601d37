"""The states of a cellular radio: it sleeps when nothing was sent for a while, and waking it takes time.

    asleep --(a transfer begins)--> promotion --> connected --(nothing for `inactivity`)--> asleep

The time between the last transfer and sleep is the *tail*: the radio is connected and draws power, and sends nothing. The model is
that of Huang et al. (MobiSys 2012, section 4, figure 1), with one tail in place of its continuous reception and two cycles.
"""

from typing import final

from fedtiny.parts import Part
from fedtiny.units import PositiveSeconds, Seconds, Watts


@final
class RadioStates(Part):
    """When a radio sleeps and what waking it takes; both directions of a device share it."""

    inactivity: PositiveSeconds
    """Seconds without a transfer after which the radio sleeps; it also sleeps at first."""
    promotion: Seconds
    """Seconds from the beginning of a transfer, when the radio sleeps, until it can send."""
    promotion_power: Watts | None = None
    """Watts, beyond those of the rest of the device, while the radio wakes; without it their energy is unknown."""
    tail_power: Watts | None = None
    """Watts, beyond those of the rest of the device, in the tail; without it their energy is unknown."""
