"""The trace: what is cut when a run ends, and what a processor that does nothing is waiting for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.simulation.trace import Activity, Trace, merged, waiting, without

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


def trace_of(asked=(), work=()):
    trace = Trace(asked=[(0, number, time) for number, time in asked])
    for start, end, number in work:
        trace.finish(trace.begin(Activity(0, number, "train", start, end)), end)
    return trace


def waits(trace, versions, end, kind=None):
    found = waiting(trace, versions, [0], end)
    return [(wait.start, wait.end) for wait in found if wait.kind == kind] if kind else [(w.kind, w.start, w.end, w.round) for w in found]


def test_an_asked_device_stalls_whenever_its_processor_is_free():
    trace = trace_of(asked=[(1, 0), (2, 6)], work=[(1, 3, 1), (7, 9, 2)])
    assert waits(trace, {0: 0.0, 1: 6.0, 2: 12.0}, 12.0) == [("stall", 0, 1, 1), ("stall", 3, 7, 2), ("stall", 9, 12, 2)]


def test_a_device_that_nobody_asks_idles():
    assert waits(trace_of(), {0: 0.0, 1: 5.0}, 9.0) == [("idle", 0, 9, 0)]


def test_a_device_idles_between_the_rounds_it_takes_part_in():
    trace = trace_of(asked=[(1, 0), (3, 10)], work=[(1, 3, 1), (12, 13, 3)])
    assert waits(trace, {1: 5.0, 2: 10.0, 3: 15.0}, 20.0, "stall") == [(0, 1), (3, 5), (10, 12), (13, 15)]
    assert waits(trace, {1: 5.0, 2: 10.0, 3: 15.0}, 20.0, "idle") == [(5, 10), (15, 20)]


def test_a_late_device_works_on_and_then_idles():
    trace = trace_of(asked=[(1, 0)], work=[(4, 9, 1)])
    assert waits(trace, {1: 5.0}, 20.0) == [("stall", 0, 4, 1), ("idle", 9, 20, 1)]


def test_rounds_in_flight_are_one_time_of_taking_part():
    trace = trace_of(asked=[(1, 0), (2, 0), (3, 6)], work=[(1, 2, 1)])
    assert waits(trace, {1: 6.0, 2: 8.0, 3: 10.0}, 10.0, "stall") == [(0, 1), (2, 10)]


def test_a_round_without_a_version_lasts_to_the_end_of_the_run():
    assert waits(trace_of(asked=[(1, 2)]), {0: 0.0}, 7.0) == [("stall", 2, 7, 1), ("idle", 0, 2, 1)]


def test_a_second_message_of_a_round_does_not_shorten_it():
    assert waits(trace_of(asked=[(1, 0), (1, 3)]), {1: 5.0}, 5.0, "stall") == [(0, 5)]


@given(
    asked=st.dictionaries(st.integers(1, 5), st.integers(0, LAST), max_size=5),
    lengths=st.dictionaries(st.integers(1, 5), st.integers(0, LAST)),
    work=INTERVALS,
)
def test_a_processor_always_works_stalls_or_idles(asked, lengths, work):
    versions = {number: asked[number] + length for number, length in lengths.items() if number in asked}
    busy = [interval for interval in merged(work) if interval[1] <= LAST]
    trace = trace_of(asked=asked.items(), work=[(start, end, 1) for start, end in busy])
    taking_part = cells((time, min(versions.get(number, LAST), LAST)) for number, time in asked.items())
    assert waits(trace, versions, LAST, "stall") == runs(taking_part - cells(busy))
    assert waits(trace, versions, LAST, "idle") == runs(set(range(LAST)) - taking_part - cells(busy))


def test_cutting_a_run_leaves_of_everything_the_share_that_was_done():
    trace = Trace()
    trace.begin(Activity(0, 1, "download", 0.0, 8.0, bytes=100, payload_bytes=80))
    trace.begin(Activity(0, 1, "train", 4.0, 12.0, macs=40.0))
    trace.cut(6.0)
    download, train = trace.activities
    assert (download.end, download.outcome, download.bytes, download.payload_bytes) == (6.0, "cancelled", 75, 60)
    assert (train.end, train.outcome, train.macs) == (6.0, "cancelled", 10.0)
    assert (trace.bytes_down, trace.bytes_up) == (0, 0)


def test_cutting_a_run_cancels_messages_that_have_left_and_not_arrived():
    trace = Trace()
    under_way, arrived = (trace.begin(Activity(0, 1, "upload", 0.0, 1.0, bytes=10)) for _ in range(2))
    lost = trace.begin(Activity(0, 1, "upload", 0.0, 1.0, bytes=10))
    trace.finish(under_way, 1.0)
    trace.finish(arrived, 1.0)
    trace.finish(lost, 1.0, "lost")
    arrived.arrival = 1.5
    trace.cut(2.0)
    assert [activity.outcome for activity in (under_way, arrived, lost)] == ["cancelled", "done", "lost"]
    assert under_way.bytes == 10
    assert trace.bytes_up == 30


@pytest.mark.parametrize("planned", [5.0, 3.0])
def test_cutting_a_run_at_the_planned_end_loses_nothing(planned):
    trace = Trace()
    activity = trace.begin(Activity(0, 1, "train", 3.0, planned, macs=7.0))
    trace.cut(5.0 if planned == 5.0 else 3.0)
    assert (activity.macs, activity.outcome) == (7.0, "cancelled")
