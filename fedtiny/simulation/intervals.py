"""Spans of time as pairs of numbers: their union, and what one set of them leaves of another."""

from collections.abc import Iterable, Sequence

Interval = tuple[float, float]


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of intervals, as disjoint intervals in ascending order; empty ones vanish."""
    result: list[Interval] = []
    for start, end in sorted(interval for interval in intervals if interval[1] > interval[0]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def without(whole: Sequence[Interval], taken: Sequence[Interval]) -> list[Interval]:
    """The parts of `whole` that `taken` leaves free, in one pass; both disjoint and ascending."""
    result: list[Interval] = []
    position = 0
    for begin, end in whole:
        while position and taken[position - 1][1] > begin:
            position -= 1
        while position < len(taken) and taken[position][1] <= begin:
            position += 1
        start, look = begin, position
        while look < len(taken) and taken[look][0] < end:
            if taken[look][0] > start:
                result.append((start, taken[look][0]))
            start = max(start, taken[look][1])
            look += 1
        position = look
        if start < end:
            result.append((start, end))
    return result
