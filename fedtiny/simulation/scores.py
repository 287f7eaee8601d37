"""Normal scores for the transfers of a device: the n-th is a pure function of the seed, the device, the direction and n.

So a device can be forgotten while it has nothing to do: all that is kept of it is how many scores were taken. One costs a hash, and no
generator, of which a million devices would have millions.
"""

from collections import Counter
from typing import Final

from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.spread import NORMAL
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import Agenda

_INTEGERS: Final = 2.0**63
_KEPT_AS: Final = "fedtiny_scores_taken"


class Scores:
    """The scores of one device, direction and purpose (`rate` or `latency`), one after the other."""

    __slots__ = ("_key", "_path", "_streams", "_taken")

    def __init__(self, agenda: Agenda, streams: Streams, traits: Traits, direction: str, purpose: str) -> None:
        self._streams = streams
        self._path = ("group", traits.group, "device", traits.index, direction, purpose)
        self._key = (traits.number, direction, purpose)
        self._taken: Counter[tuple[int, str, str]] = vars(agenda.environment).setdefault(_KEPT_AS, Counter())

    def take(self) -> float:
        """The next one."""
        number = self._taken[self._key]
        self._taken[self._key] = number + 1
        return NORMAL.inv_cdf((self._streams.integer(*self._path, number) + 0.5) / _INTEGERS)
