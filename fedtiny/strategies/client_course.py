"""What DGA's server remembers of one client's replies, and how it tells waiting from being late (see round_trips.py).

All times in seconds; those of a reply without a sum are shifted by w, the longer time that a sum takes, so that they compare.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from fedtiny.strategies.seen_quantiles import quantile_of

_JUDGED: Final = (4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Doubt:
    """A round of which later replies tell whether the client waited or its reply was late."""

    round: int
    begun: int
    """Steps that it had done when it waited, counted from the start of round 1."""
    done: int
    """And when it sent the round's sum."""
    pushed: float
    """When what it waited for was pushed."""
    before: float
    """When the reply to its *before* came, not shifted; -inf where there is no such thing."""
    free: float
    """When it would have gone on without waiting."""
    came: float
    """When the round's sum came."""
    is_apparent: bool
    """Whether it seems so by this round's replies; or else because of a round before it."""

    def found(self, step: float) -> float:
        """When it went on, by this round's sum."""
        return self.came - (self.done - self.begun) * step


@dataclass(slots=True)
class ClientCourse:
    """What is known of a client's own times."""

    step: float | None = None
    """The time of a step."""
    judged_by: int = 0
    """The rounds without waiting that say so."""
    stretch: list[tuple[int, float]] = field(default_factory=list)
    """Steps done and when the reply came, of rounds one after the other without waiting."""
    wider: deque[float] = field(default_factory=lambda: deque(maxlen=9))
    """w in the newest rounds in which it did not wait; their median is what counts, so that one message that was lost on the way spoils
    nothing."""
    first_burst: float | None = None
    """How long the first round took from its push to its sum, until a step's time is known."""
    first_trip: float | None = None
    """The round trip that follows from it (s)."""
    before: tuple[int, float] | None = None
    """The newest *before* whose reply came: its round, and when."""
    after: tuple[int, float] = (0, 0.0)
    """The newest *after* whose reply came: its round, and when."""
    pushed: float = math.inf
    """When that one was pushed."""
    outstanding: dict[int, float] = field(default_factory=dict)
    """When each *after* was pushed whose reply was not told of."""
    early: list[tuple[int, float]] = field(default_factory=list)
    """*Befores* whose replies were told of before those that came before them: the server waits for the sums of one round at a time."""
    doubts: deque[Doubt] = field(default_factory=deque)
    seen: list[tuple[int, float]] = field(default_factory=list)
    """Replies since the oldest doubt: steps done, and when it came."""

    @property
    def width(self) -> float:
        """w."""
        return quantile_of(sorted(self.wider), 0.5) or 0.0

    def lacks_one_before(self, number: int) -> bool:
        """Whether a sum of an earlier round is still to be told of."""
        return any(earlier < number for earlier in self.outstanding)

    def answered(self, number: int) -> float | None:
        """A sum came: when it was asked for. Older ones that did not come by then never will, as links keep the order."""
        pushed = self.outstanding.pop(number, None)
        for older in [older for older in self.outstanding if older < number]:
            del self.outstanding[older]
        return pushed

    def no_longer_early(self) -> list[tuple[int, float]]:
        """The *befores* that waited for the sum that came now, in order."""
        ready = [early for early in self.early if not self.lacks_one_before(early[0])]
        self.early = [early for early in self.early if self.lacks_one_before(early[0])]
        return ready

    def runs_on(self, done: int, came: float) -> None:
        """A *before* was answered, and the round before it was not waited in: from 4, 8, 16 and 32 such rounds on a step's time is known
        better."""
        self.stretch.append((done, came))
        rounds = len(self.stretch) - 1
        if rounds in _JUDGED and rounds >= self.judged_by and (step := slope_below(self.stretch)) > 0:
            self.step, self.judged_by = step, rounds
        if rounds == _JUDGED[-1]:
            self.stretch = self.stretch[-1:]

    def sees(self, done: int, came: float) -> None:
        """A reply after so many steps came, which later settles the doubts before it."""
        if self.doubts:
            self.seen.append((done, came))

    @property
    def is_in_doubt(self) -> bool:
        """Whether a round seems to have been waited in, and it is not settled yet."""
        return any(doubt.is_apparent for doubt in self.doubts)

    def doubt(self, doubt: Doubt) -> None:
        """Leaves it to later replies what happened in a round."""
        if not self.doubts:
            self.seen.append((doubt.done, doubt.came))
        self.doubts.append(doubt)
        if doubt.is_apparent and self.judged_by:
            self.stretch.clear()

    def settled(self, last: int, step: float) -> list[tuple[Doubt, float, float]]:
        """The doubts about rounds up to `last`, with when the client was free and when it went on at the latest, by all replies since."""
        found = []
        while self.doubts and self.doubts[0].round <= last:
            doubt = self.doubts.popleft()
            by = [(done, came - (done - doubt.begun) * step) for done, came in self.seen if done >= doubt.begun]
            free, went_on = min(time for _, time in by), min(time for done, time in by if done > doubt.begun)
            found.append((doubt, min(doubt.free, free), went_on))
        self.seen = [reply for reply in self.seen if self.doubts and reply[0] >= self.doubts[0].begun]
        return found

    def breaks_off(self) -> None:
        """What comes next does not follow on what came before."""
        self.doubts.clear()
        self.seen.clear()
        self.stretch.clear()


def slope_below(points: Sequence[tuple[int, float]]) -> float:
    """The slope of the line below all points (ascending) that is nearest to them on average.

    It goes along the edge of their lower convex hull that is below their mean. Points that lie above it are replies that came late.
    (Moon, Skelly, Towsley: Estimation and Removal of Clock Skew from Network Delay Measurements, INFOCOM 1999.)
    """
    hull: list[tuple[int, float]] = []
    for x, y in points:
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (x - hull[-2][0]) >= (y - hull[-2][1]) * (hull[-1][0] - hull[-2][0]):
            hull.pop()
        hull.append((x, y))
    middle = sum(x for x, _ in points) / len(points)
    (left, low), (right, high) = next(edge for edge in pairwise(hull) if edge[1][0] >= middle)
    return (high - low) / (right - left)
