"""The trace: what it holds, and what is cut when a run ends."""

import pytest

from fedtiny.simulation.trace import DONE, DOWNLOAD, LOST, TRAIN, UPLOAD, Activity, Trace


def test_an_activity_is_given_back_as_it_was_recorded():
    trace, activities = (
        Trace(),
        [
            Activity(7, 3, "download", 0.5, 1.5, arrival=2.5, bytes=10, payload_bytes=8),
            Activity(7, 3, "evaluate", 2.5, 3.5, macs=1.5, outcome="failed"),
            Activity(7, 3, "upload", 3.5, 4.5, bytes=2**52 + 1, payload_bytes=2**52, outcome="lost"),
        ],
    )
    for activity in activities:
        trace.record(activity)
    assert trace.activities == activities
    assert (trace.activities[1], trace.activities[-1], trace.activities[:2]) == (activities[1], activities[2], activities[:2])
    assert (len(trace.activities), trace.begun) == (3, 3)


def test_a_trace_remembers_who_was_asked_in_the_order_of_asking():
    trace = Trace([(4, 2, 0.5)])
    trace.asked.append((1, 2, 0.5))
    assert list(trace.asked) == [(4, 2, 0.5), (1, 2, 0.5)]
    assert [values.tolist() for values in trace.asked.arrays()] == [[4, 1], [2, 2], [0.5, 0.5]]


def test_bytes_count_when_a_transfer_ends():
    trace = Trace()
    down, up = trace.begin(0, 1, DOWNLOAD, 0.0, 1.0, 10, 8), trace.begin(0, 1, UPLOAD, 0.0, 1.0, 20, 8)
    assert (trace.bytes_down, trace.bytes_up) == (0, 0)
    trace.finish(down, DONE)
    trace.finish(up, LOST)
    assert (trace.bytes_down, trace.bytes_up) == (10, 20)


def test_an_activity_takes_at_most_sixty_bytes():
    trace = Trace()
    trace.record(Activity(0, 1, "train", 0.0, 1.0))
    columns = vars(trace.columns()).values()
    assert sum(column.itemsize for column in columns) <= 60


def test_cutting_a_run_leaves_of_everything_the_share_that_was_done():
    trace = Trace()
    trace.begin(0, 1, DOWNLOAD, 0.0, 8.0, 100, 80)
    trace.begin(0, 1, TRAIN, 4.0, 12.0, 40.0)
    trace.cut(6.0)
    download, train = trace.activities
    assert (download.end, download.outcome, download.bytes, download.payload_bytes) == (6.0, "cancelled", 75, 60)
    assert (train.end, train.outcome, train.macs) == (6.0, "cancelled", 10.0)
    assert (trace.bytes_down, trace.bytes_up) == (0, 0)


def test_cutting_a_run_cancels_messages_that_have_left_and_not_arrived():
    trace = Trace()
    under_way, arrived, lost = (trace.begin(0, 1, UPLOAD, 0.0, 1.0, 10) for _ in range(3))
    for row, outcome in ((under_way, DONE), (arrived, DONE), (lost, LOST)):
        trace.finish(row, outcome)
    trace.arrive(arrived, 1.5)
    trace.cut(2.0)
    assert [activity.outcome for activity in trace.activities] == ["cancelled", "done", "lost"]
    assert trace.activities[under_way].bytes == 10
    assert trace.bytes_up == 30


@pytest.mark.parametrize("planned", [5.0, 3.0])
def test_cutting_a_run_at_the_planned_end_loses_nothing(planned):
    trace = Trace()
    row = trace.begin(0, 1, TRAIN, 3.0, planned, 7.0)
    trace.cut(planned)
    assert (trace.activities[row].macs, trace.activities[row].outcome) == (7.0, "cancelled")
