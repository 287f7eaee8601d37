"""What happens to a device that is worked hard: it gets hot and slows down, or its memory is full and it pages.

Heat is a store of busy seconds that fills while the processor works, up to `after`, and empties as fast while it does not:

    h = min(after, h + busy seconds)      h = max(0, h - other seconds)

Work runs at full speed while h < after and at `factor` of it once h = after. So a device that always works slows down after `after`
seconds, one that is busy less than half of the time never does, and one that is hot is cool again after resting for `after`.

A device that pages can train what its memory does not hold: of a step that needs E bytes more than the budget, each of these bytes is
written to storage once and read back once,

    seconds = E / write + E / read

during which the processor waits. It is the least that any paging does: a system that chooses badly what to put out moves more.
"""

from typing import Annotated, final

from pydantic import Field

from fedtiny.parts import Part
from fedtiny.units import BytesPerSecond, PositiveSeconds, Watts


@final
class Throttling(Part):
    """How a device slows down that works for long."""

    after: PositiveSeconds
    """Seconds of work without rest after which it is hot; as many seconds of rest cool it."""
    factor: Annotated[float, Field(gt=0, le=1)]
    """The share of its speed that is left while it is hot."""


@final
class Paging(Part):
    """Storage that takes what the memory does not hold."""

    read: BytesPerSecond
    """Bytes per second from storage."""
    write: BytesPerSecond
    """Bytes per second to storage."""
    power: Watts | None = None
    """Watts while the device waits for storage; left out: as while training."""
