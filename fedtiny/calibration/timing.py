"""Times steps that are as short as milliseconds on a machine that may have other things to do.

The steps take turns, so that a burst of other work falls on all of them and not on one. A turn of a step is one that is not timed,
which brings the processor's caches and the kernels that torch keeps ready (oneDNN keeps 1,024) back to what they are when a step follows
its like, and then some that are. Of all times of a step the median counts; how far the quartiles lie apart is told with it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

Clock = Callable[[], float]
Step = Callable[[], object]
Progress = Callable[[int, int], None]
"""(turns done, turns in all) -> None."""

TIMED_IN_A_TURN: Final = 3
MOST_TURNS: Final = 40
_WHOLE_TURN: Final = TIMED_IN_A_TURN + 1


@dataclass(frozen=True)
class Timing:
    """What a step took."""

    seconds: float
    """The median."""
    spread: float
    """(third quartile - first quartile) / median."""
    times: int
    """How often it was timed."""


def first_seconds(steps: Sequence[Step], clock: Clock, seconds: float) -> list[float]:
    """What each step takes when it is taken for the second time, (steps,): a first look. Where that takes more than `seconds`, the first
    of them only."""
    found: list[float] = []
    start = clock()
    for step in steps:
        if found and clock() - start > seconds:
            break
        step()
        begin = clock()
        step()
        found.append(clock() - begin)
    return found


def affordable(first: Sequence[float], seconds: float, turns: int) -> list[int]:
    """Which steps, in their order, can have so many turns in all the `seconds`: the shortest, and one at least."""
    shortest = np.argsort(first, kind="stable")
    total = np.cumsum(np.asarray(first)[shortest]) * _WHOLE_TURN * turns
    return sorted(int(step) for step in shortest[: max(1, int(np.searchsorted(total, seconds, "right")))])


def timed(steps: Sequence[Step], clock: Clock, seconds: float, least_turns: int, tell: Progress | None = None) -> list[Timing]:
    """What each step takes, (steps,), measured in turns for about so many seconds, in `least_turns` at least."""
    taken: list[list[float]] = [[] for _ in steps]
    begin = clock()
    for turn in range(MOST_TURNS):
        spent = clock() - begin
        expected = least_turns if turn == 0 else max(least_turns, min(MOST_TURNS, int(turn * seconds / spent) if spent > 0 else MOST_TURNS))
        if turn >= expected:
            break
        for place, step in enumerate(steps):
            taken[place] += _turn(step, clock)
            if tell is not None:
                tell(turn * len(steps) + place + 1, expected * len(steps))
    return [_summed_up(each) for each in taken]


def _turn(step: Step, clock: Clock) -> list[float]:
    step()
    found = []
    for _ in range(TIMED_IN_A_TURN):
        begin = clock()
        step()
        found.append(clock() - begin)
    return found


def _summed_up(seconds: Sequence[float]) -> Timing:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return Timing(float(middle), float((high - low) / middle), len(seconds))
