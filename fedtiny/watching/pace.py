"""How long something still takes, from how much of it was done when.

The pace is that of the later half of the time so far: what came before a change (a network that warms up, a journal that begins to
answer) is forgotten, and single rounds do not shake it.
"""

from bisect import bisect_left
from typing import Final

_MOST_SEEN: Final = 1024


class Pace:
    """What share of something was done when, and what follows for the rest. Instants are of any clock that never goes back."""

    def __init__(self) -> None:
        self._instants: list[float] = []
        self._shares: list[float] = []

    def note(self, now: float, share: float) -> None:
        """At this instant (s) this share, 0 to 1, is done."""
        if len(self._instants) == _MOST_SEEN:
            self._instants, self._shares = self._instants[::2], self._shares[::2]
        self._instants.append(now)
        self._shares.append(share)

    def left(self, now: float) -> float | None:
        """Seconds until all is done; None where nothing is known: before anything was done, and when the time foreseen has passed."""
        if len(self._instants) < 2:
            return None
        begun, last = self._instants[0], self._instants[-1]
        since = min(bisect_left(self._instants, (begun + last) / 2), len(self._instants) - 2)
        grown, took = self._shares[-1] - self._shares[since], last - self._instants[since]
        if grown <= 0 or took <= 0:
            return None
        rest = (1.0 - self._shares[-1]) * took / grown - (now - last)
        return max(0.0, rest) if rest >= 0 or self._shares[-1] >= 1.0 else None
