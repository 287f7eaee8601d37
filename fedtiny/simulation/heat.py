"""How hot a processor is, and how long work takes on one that throttles (fleet/limits.py).

It stores the seconds h that it was busy, up to `after`, and gives back as many when it is not. Work of w seconds at full speed that begins
with h stored runs at full speed until the store is full and at `factor` of the speed from then on:

    seconds = w                                  where w <= after - h
    seconds = (after - h) + (w - (after - h)) / factor        else
"""

from fedtiny.fleet.limits import Throttling


class Heat:
    """The heat of one device's processor, which is cold at time 0."""

    __slots__ = ("_began", "_busy_until", "_cold", "_seconds", "_stored", "_throttling")

    def __init__(self, throttling: Throttling) -> None:
        self._throttling = throttling
        self._stored = 0.0
        self._busy_until = 0.0
        self._began = self._cold = self._seconds = 0.0
        """Of the work that was asked about last: when it began, for how long the processor was cold enough, what it takes (s)."""

    def takes(self, now: float, seconds: float) -> float:
        """Seconds that work takes which begins now (s) and would take `seconds` on a cool processor; it is hotter afterwards."""
        after, factor = self._throttling.after, self._throttling.factor
        cold = after - max(0.0, self._stored - (now - self._busy_until))
        taken = seconds if seconds <= cold else cold + (seconds - cold) / factor
        self._stored, self._busy_until = min(after, after - cold + taken), now + taken
        self._began, self._cold, self._seconds = now, cold, seconds
        return taken

    def stop(self, now: float) -> float:
        """The work that began last stops now (s), before it is done: seconds that what is left of it would take on a cool processor."""
        after, passed = self._throttling.after, now - self._began
        self._stored, self._busy_until = min(after, after - self._cold + passed), now
        return self._seconds - (min(passed, self._cold) + max(0.0, passed - self._cold) * self._throttling.factor)
