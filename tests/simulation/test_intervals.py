"""Spans of time: their union and their difference, against sets of unit spans."""

from hypothesis import given
from hypothesis import strategies as st

from fedtiny.simulation.intervals import merged, without

LAST = 30
INTERVALS = st.lists(st.tuples(st.integers(0, LAST), st.integers(0, LAST)).map(sorted).map(tuple), max_size=8)


def cells(intervals):
    """The unit intervals that intervals with whole ends cover."""
    return {cell for start, end in intervals for cell in range(start, end)}


def runs(covered):
    """Unit intervals as the longest intervals they make."""
    ends = sorted(cell + 1 for cell in covered if cell + 1 not in covered)
    starts = sorted(cell for cell in covered if cell - 1 not in covered)
    return list(zip(starts, ends, strict=True))


@given(INTERVALS)
def test_merging_intervals_is_their_union(intervals):
    assert merged(intervals) == runs(cells(intervals))


@given(INTERVALS, INTERVALS)
def test_what_is_left_of_intervals_is_their_difference(whole, taken):
    assert without(merged(whole), merged(taken)) == runs(cells(whole) - cells(taken))
