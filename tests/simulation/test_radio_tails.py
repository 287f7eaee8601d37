"""Tails: a radio that is connected and sends nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.simulation.radio_tails import device_tails, tails


def test_a_tail_ends_with_the_timer_the_next_transfer_or_the_run():
    assert tails([(0.0, 2.0), (5.0, 6.0), (30.0, 31.0)], 10.0, 35.0) == [(2.0, 5.0), (6.0, 16.0), (31.0, 35.0)]


def test_both_directions_at_once_are_one_radio():
    assert tails([(0.0, 4.0), (2.0, 6.0)], 10.0, 7.0) == [(6.0, 7.0)]


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.1, 10)).map(lambda pair: (pair[0], sum(pair)))), st.floats(0.1, 20))
def test_tails_are_outside_of_transfers_and_no_longer_than_the_timer(transfers, inactivity):
    found = tails(transfers, inactivity, 200.0)
    assert all(end - start <= inactivity * (1 + 1e-9) + 1e-9 for start, end in found)
    assert all(not (start < end_ and start_ < end) for start, end in found for start_, end_ in transfers)


def test_the_tails_of_a_device_follow_from_its_trace(bench):
    stage = bench(radio_states={"inactivity": "10 s", "promotion": "0.7 s"}, downlink="100 B/s", uplink="100 B/s")
    stage.send(stage.work(1, size=100, seconds=11, reply=200))
    stage.environment.run()
    found = device_tails(stage.trace.columns(), 4, 10.0, 20.0)
    assert found == [pytest.approx((1.7, 11.7)), pytest.approx((15.4, 20.0))]
