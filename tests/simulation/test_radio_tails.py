"""Tails: a radio that is connected and sends nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.simulation.absences import NOBODY_AWAY, Absences
from fedtiny.simulation.intervals import merged, without
from fedtiny.simulation.radio_tails import tails
from fedtiny.simulation.trace import KINDS, TAIL, Activity, Trace

INACTIVITY = {1: 10.0, 3: 4.0}
END = 120.0


def recorded(*activities):
    trace = Trace()
    for activity in activities:
        trace.record(activity)
    return trace


def found(trace, end=END, absences=NOBODY_AWAY, promotion=0.7):
    devices = np.array(list(INACTIVITY))
    waits = tails(trace.columns(), devices, np.array(list(INACTIVITY.values())), np.full(2, promotion), end, absences)
    assert (waits.kind == TAIL).all()
    return list(zip(waits.device.tolist(), waits.round.tolist(), waits.start.tolist(), waits.end.tolist(), strict=True))


def transfers(device, *spans, kind="upload"):
    return [Activity(device, place, kind, start, end) for place, (start, end) in enumerate(spans)]


def test_a_tail_ends_with_the_timer_the_next_transfer_or_the_run():
    trace = recorded(*transfers(1, (0.0, 2.0), (5.0, 6.0), (30.0, 31.0)))
    assert found(trace, 35.0) == [(1, 0, 2.0, 5.0), (1, 1, 6.0, 16.0), (1, 2, 31.0, 35.0)]


def test_both_directions_at_once_are_one_radio():
    trace = recorded(*transfers(1, (0.0, 4.0)), *transfers(1, (2.0, 6.0), kind="download"))
    assert found(trace, 7.0) == [(1, 0, 6.0, 7.0)]


def test_a_transfer_that_takes_no_time_keeps_the_radio_awake():
    assert found(recorded(*transfers(1, (0.0, 0.0), (10.0, 10.0)))) == [(1, 0, 0.0, 10.0), (1, 1, 10.0, 20.0)]


def test_transfers_that_follow_one_another_leave_no_tail_between_them():
    assert found(recorded(*transfers(1, (0.0, 2.0), (2.0, 3.0))), 4.0) == [(1, 1, 3.0, 4.0)]


def test_devices_whose_radios_never_sleep_have_no_tails():
    assert found(recorded(*transfers(2, (0.0, 1.0)), *transfers(3, (0.0, 1.0)))) == [(3, 0, 1.0, 5.0)]


def test_a_device_that_is_not_there_has_no_tail_until_it_is_back():
    away = Absences(np.array([1, 1, 2]), np.array([3.0, 8.0, 0.0]), np.array([4.0, 60.0, 9.0]))
    assert found(recorded(*transfers(1, (0.0, 2.0), (70.0, 71.0))), 72.0, away) == [(1, 0, 2.0, 3.0), (1, 0, 4.0, 8.0), (1, 1, 71.0, 72.0)]


def test_a_radio_that_was_not_awake_yet_when_its_transfer_was_given_up_has_no_tail():
    waking = Activity(1, 0, "promotion", 20.0, 20.5, outcome="cancelled")
    given_up = Activity(1, 0, "download", 20.0, 20.5, outcome="cancelled")
    assert found(recorded(waking, given_up)) == []
    # the other transfer that waited for it was sent
    assert found(recorded(waking, given_up, *transfers(1, (20.4, 23.0))), 24.0) == [(1, 0, 23.0, 24.0)]


def test_the_tails_of_a_device_follow_from_its_trace(bench):
    stage = bench(radio_states={"inactivity": "10 s", "promotion": "0.7 s"}, downlink="100 B/s", uplink="100 B/s")
    stage.send(stage.work(1, size=100, seconds=11, reply=200))
    stage.environment.run()
    waits = tails(stage.trace.columns(), np.array([4]), np.array([10.0]), np.array([0.7]), 20.0)
    assert list(zip(waits.start, waits.end, strict=True)) == [pytest.approx((1.7, 11.7)), pytest.approx((15.4, 20.0))]


span = st.tuples(st.integers(0, 100), st.integers(0, 12)).map(lambda pair: (float(pair[0]), float(sum(pair))))


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), span)), st.lists(st.tuples(st.sampled_from([0, 1, 2, 3]), span)))
def test_they_are_those_of_the_definition(sent, gone):
    trace = recorded(*(Activity(device, 0, KINDS[0], *one) for device, one in sent))
    rows = [(device, *one) for device in range(4) for one in merged(one for owner, one in gone if owner == device)]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    expected = []
    for device, inactivity in INACTIVITY.items():
        own = sorted(one for owner, one in sent if owner == device)
        connected = merged((start, min(end + inactivity, END)) for start, end in own)
        cuts = sorted({moment for start, end in own for moment in (start, end)})
        idle = [(start, end) for start, end in without(connected, merged(own)) if end > start]
        split = [part for start, end in idle for part in zip([start, *(c for c in cuts if start < c < end)],
                                                             [*(c for c in cuts if start < c < end), end], strict=True)]  # fmt: skip
        away = [(start, end) for owner, start, end in rows if owner == device]
        expected += [(device, 0, *one) for one in without(split, away)]
    assert found(trace, absences=Absences(table[:, 0].astype(np.int64), table[:, 1], table[:, 2])) == expected
