"""A radio that sleeps: who pays for waking it, and when."""

from typing import Any

import pytest

STATES = {"inactivity": "10 s", "promotion": "0.7 s"}


def about(spans: list[tuple[float, float]], **options: float) -> list[Any]:
    """Spans that are these but for rounding."""
    return [pytest.approx(span, **options) for span in spans]


def radio(bench, **network):
    return bench(**{"radio_states": STATES, "downlink": "100 B/s", "uplink": "100 B/s", **network})


def test_an_upload_after_more_than_ten_seconds_of_silence_shows_the_promotion(bench):
    stage = radio(bench)
    stage.send(stage.work(1, size=100, seconds=11, reply=200))
    stage.environment.run()
    assert stage.spans("promotion") == about([(0, 0.7), (12.7, 13.4)])
    assert stage.spans("download") == about([(0, 1.7)])
    assert stage.spans("upload") == about([(12.7, 15.4)])
    assert stage.delivered == [(1, pytest.approx(15.4))]


def test_an_upload_within_ten_seconds_of_the_download_does_not(bench):
    stage = radio(bench)
    stage.send(stage.work(1, size=100, seconds=9.9, reply=200))
    stage.environment.run()
    assert stage.spans("promotion") == [(0, 0.7)]
    assert stage.spans("upload") == about([(11.6, 13.6)])


@pytest.mark.parametrize(("silence", "promotions"), [(9.9, 1), (10.0, 2)])
def test_the_timer_runs_from_the_end_of_the_last_transfer_and_is_over_when_it_is(bench, silence, promotions):
    stage = radio(bench)
    stage.send(stage.work(1, size=100, seconds=silence, reply=0))
    stage.environment.run()
    assert len(stage.spans("promotion")) == promotions


def test_both_directions_share_one_radio(bench):
    stage = radio(bench)
    stage.send(stage.work(1, size=0, seconds=8, reply=100), stage.work(2, size=2000))
    stage.environment.run()
    # the download of the second message, from 0.7 s to 20.7 s, keeps the radio awake for the upload of the first at 8.7 s
    assert stage.spans("promotion") == [(0, 0.7)]
    assert stage.spans("upload")[0] == pytest.approx((8.7, 9.7))


def test_a_transfer_that_begins_while_another_wakes_the_radio_waits_for_the_rest(bench):
    stage = radio(bench, latency="0 s")
    stage.send(stage.work(1, size=100, seconds=12, reply=100))
    stage.send(stage.work(2, size=100), at=13.0)
    stage.environment.run()
    # awake at 1.7 s, idle until 13.7 s; the second message wakes it at 13.0 s, and the reply of the first waits from 13.7 s
    assert stage.spans("promotion") == about([(0, 0.7), (13.0, 13.7)])
    assert stage.spans("upload")[0] == pytest.approx((13.7, 14.7))


def test_a_lost_transfer_that_is_sent_again_at_once_finds_the_radio_awake(bench):
    stage = radio(bench, loss=0.6, latency="2 s")
    stage.send(stage.work(1, size=100, reply=100))
    stage.environment.run()
    assert len(stage.of("download")) > 1
    assert len(stage.of("promotion")) == 1


def test_a_run_that_ends_while_the_radio_wakes_has_sent_nothing(bench):
    stage = radio(bench)
    stage.send(stage.work(1, size=100))
    stage.environment.run(until=0.5)
    stage.trace.cut(0.5)
    (transfer,), (promotion,) = stage.of("download"), stage.of("promotion")
    assert (transfer.bytes, transfer.outcome, transfer.end) == (0, "cancelled", 0.5)
    assert (promotion.start, promotion.end, promotion.outcome) == (0, 0.5, "cancelled")


def test_a_run_that_ends_in_a_transfer_after_a_promotion_counts_the_bytes_since_then(bench):
    stage = radio(bench)
    stage.send(stage.work(1, size=100))
    stage.environment.run(until=1.325)
    stage.trace.cut(1.325)
    (transfer,) = stage.of("download")
    assert (transfer.start, transfer.bytes) == (0.0, 62)


def test_a_device_is_remembered_while_its_radio_is_awake(bench):
    stage = radio(bench)
    assert not stage.device.remembers
    stage.send(stage.work(1, size=100))
    stage.environment.run(until=9.0)
    assert stage.device.remembers
    stage.environment.run(until=12.0)
    assert not stage.device.remembers
