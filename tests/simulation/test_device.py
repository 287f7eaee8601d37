"""A device in virtual time: what occupies a link, what waits for what, and in which order things come."""

import itertools

import pytest

from fedtiny.randomness import Streams


def test_bandwidth_occupies_a_link_and_latency_does_not(bench):
    stage = bench(latency="5 s", downlink="10 B/s", uplink="20 B/s")
    stage.send(stage.work(1, size=100, reply=40), stage.work(2, size=100, reply=40))
    stage.environment.run()
    assert stage.spans("download") == [(0, 10), (10, 20)]
    assert [activity.arrival for activity in stage.of("download")] == [15, 25]
    assert stage.spans("upload") == [(15, 17), (25, 27)]
    assert stage.delivered == [(1, 22), (2, 32)]


def test_an_unlimited_link_takes_no_time(bench):
    stage = bench(latency="2 s")
    stage.send(stage.work(1, size=10**12, reply=10**12))
    stage.environment.run()
    assert stage.spans("download") == [(0, 0)]
    assert stage.delivered == [(1, 4)]


def test_downlink_processor_and_uplink_work_at_once(bench):
    stage = bench(downlink="10 B/s", uplink="10 B/s")
    stage.send(*(stage.work(number, size=40, seconds=4, reply=40) for number in (1, 2, 3)))
    stage.environment.run()
    assert stage.spans("download") == [(0, 4), (4, 8), (8, 12)]
    assert stage.spans("train") == [(4, 8), (8, 12), (12, 16)]
    assert stage.spans("upload") == [(8, 12), (12, 16), (16, 20)]


def test_a_serial_runtime_finishes_a_whole_cycle_before_the_next_message(bench):
    stage = bench(runtime="serial", latency="1 s", downlink="10 B/s", uplink="10 B/s")
    stage.send(*(stage.work(number, size=10, seconds=2, reply=30) for number in (1, 2)))
    stage.environment.run()
    cycle = 1 + 1 + 2 + 3 + 1
    assert stage.delivered == [(1, cycle), (2, 2 * cycle)]
    assert stage.spans("download") == [(0, 1), (cycle, cycle + 1)]


def test_a_serial_runtime_goes_on_after_a_message_nobody_wants_any_more(bench):
    stage = bench(runtime="serial", latency="1 s")
    stage.send(stage.work(1, seconds=2, wanted=lambda: False), stage.work(2, seconds=2))
    stage.environment.run()
    assert stage.delivered == [(2, 5)]


def test_what_was_sent_before_arrives_before_whatever_the_jitter(bench):
    stage = bench(latency="1 s", jitter="5 s")
    for number in range(50):
        stage.send(stage.work(number, seconds=0.01), at=number * 0.1 if number else None)
    stage.environment.run()
    arrivals = [activity.arrival for activity in stage.of("download")]
    assert arrivals == sorted(arrivals)
    assert stage.executed == list(range(50))
    assert [number for number, _ in stage.delivered] == list(range(50))
    assert len(set(arrivals)) < 50, "some had to wait for one before them"


def test_jitter_never_makes_a_latency_negative(bench):
    stage = bench(latency="100 ms", jitter="10 s")
    for number in range(30):
        stage.send(stage.work(number), at=number * 100.0 if number else None)
    stage.environment.run()
    delays = [activity.arrival - activity.end for activity in stage.of("download")]
    assert min(delays) == 0.0 < max(delays)


def test_one_burst_has_one_latency_draw(bench):
    stage = bench(latency="3 s", jitter="1 s")
    stage.send(*(stage.work(number) for number in range(5)))
    stage.environment.run()
    draws = Streams(0).numpy("group", 1, "device", 2, "downlink", "jitter")
    first, second = 3 + draws.normal(), 3 + draws.normal()
    assert [activity.arrival for activity in stage.of("download")] == [first] * 5
    begin = stage.environment.now + 100
    stage.send(stage.work(6), at=begin)
    stage.environment.run()
    assert stage.of("download")[-1].arrival == begin + second


def test_every_reply_has_a_latency_draw_of_its_own(bench):
    stage = bench(latency="50 s", jitter="1 s")
    stage.send(*(stage.work(number, seconds=100) for number in range(3)))
    stage.environment.run()
    delays = [activity.arrival - activity.end for activity in stage.of("upload")]
    assert len({round(delay, 9) for delay in delays}) == 3


@pytest.mark.parametrize("seed", range(4))
def test_a_lost_message_is_sent_again_a_round_trip_later(bench, seed):
    stage = bench(latency="7 s", downlink="10 B/s", loss=0.6, seed=seed)
    stage.send(stage.work(1, size=30))
    draws = Streams(seed).numpy("group", 1, "device", 2, "downlink", "loss")
    losses = next(count for count in itertools.count() if draws.random() >= 0.6)
    stage.environment.run()
    downloads = stage.of("download")
    assert [activity.outcome for activity in downloads] == ["lost"] * losses + ["done"]
    assert [activity.start for activity in downloads] == [(3 + 2 * 7) * attempt for attempt in range(losses + 1)]
    assert [activity.arrival for activity in downloads] == [None] * losses + [(3 + 2 * 7) * losses + 3 + 7]
    assert stage.trace.bytes_down == 30 * (losses + 1)


def test_a_message_waits_for_one_before_it_that_was_lost(bench):
    stages = [bench(latency="1 s", loss=0.5, seed=seed) for seed in range(10)]
    for stage in stages:
        stage.send(*(stage.work(number, seconds=0.1) for number in range(6)))
        stage.environment.run()
        assert stage.executed == list(range(6))
        assert [number for number, _ in stage.delivered] == list(range(6))
    assert any(activity.outcome == "lost" for stage in stages for activity in stage.of("upload"))


def test_an_unwanted_message_is_downloaded_and_not_worked_on(bench):
    stage = bench(downlink="10 B/s")
    stage.send(stage.work(1, size=10, seconds=5, wanted=lambda: stage.environment.now < 1))
    stage.environment.run()
    assert [(activity.kind, activity.outcome) for activity in stage.trace.activities] == [("download", "late")]
    assert stage.executed == []


def test_a_reply_that_nobody_awaits_is_late(bench):
    stage = bench()
    stage.send(stage.work(1, seconds=1, awaited=False))
    stage.environment.run()
    assert [(activity.kind, activity.outcome) for activity in stage.trace.activities] == [
        ("download", "done"),
        ("train", "done"),
        ("upload", "late"),
    ]


def test_work_that_failed_is_recorded_as_failed(bench):
    stage = bench()
    stage.send(stage.work(1, seconds=1, failed=True), stage.work(2, seconds=1, kind="evaluate"))
    stage.environment.run()
    assert [(activity.kind, activity.outcome) for activity in stage.of("train") + stage.of("evaluate")] == [
        ("train", "failed"),
        ("evaluate", "done"),
    ]


def test_an_activity_says_who_for_which_round_with_how_many_bytes_and_macs(bench):
    stage = bench(latency="1 s")
    stage.send(stage.work(9, size=100, seconds=2, reply=50))
    stage.environment.run()
    download, train, upload = stage.trace.activities
    assert {(activity.device, activity.round) for activity in stage.trace.activities} == {(4, 9)}
    assert (download.bytes, download.payload_bytes, upload.bytes, upload.payload_bytes) == (100, 50, 50, 25)
    assert (train.macs, train.bytes, train.arrival) == (20, 0, None)
    assert (stage.trace.bytes_down, stage.trace.bytes_up) == (100, 50)


def test_a_device_draws_from_streams_of_its_own(bench):
    def arrivals(seed):
        stage = bench(latency="3 s", jitter="1 s", seed=seed)
        stage.send(stage.work(1))
        stage.environment.run()
        return [activity.arrival for activity in stage.trace.activities]

    assert arrivals(1) == arrivals(1)
    assert arrivals(1) != arrivals(2)


SUPERNODE = {"polling_interval": "3 s", "start_up": "2 s"}


def test_a_serial_device_looks_for_messages_every_polling_interval(bench):
    stage = bench(runtime="serial", serial={"polling_interval": "3 s"})
    first = stage.device.looks_since + 3
    assert 0 <= first < 3
    stage.send(stage.work(1, seconds=1.0))
    stage.send(stage.work(2, seconds=1.0), at=first + 1 + 7)
    stage.environment.run()
    # done at first + 1, it looks at first + 4, first + 7, first + 10
    assert stage.spans("train") == [
        (pytest.approx(first), pytest.approx(first + 1)),
        (pytest.approx(first + 10), pytest.approx(first + 11)),
    ]


def test_what_waits_for_a_serial_device_is_taken_as_soon_as_it_is_done(bench):
    stage = bench(runtime="serial", serial={"polling_interval": "3 s"})
    first = stage.device.looks_since + 3
    stage.send(*(stage.work(number, seconds=1.0) for number in (1, 2, 3)))
    stage.environment.run()
    assert [start for start, _ in stage.spans("train")] == [pytest.approx(first + place) for place in range(3)]


def test_where_devices_look_first_differs_between_them_and_is_the_same_in_every_run(bench):
    serial = {"polling_interval": "3 s"}
    assert bench(runtime="serial", serial=serial).device.looks_since == bench(runtime="serial", serial=serial).device.looks_since
    assert bench(runtime="serial", serial=serial).device.looks_since != bench(runtime="serial", serial=serial, seed=1).device.looks_since


def test_a_start_up_comes_before_the_work_of_every_message_and_keeps_the_processor(bench):
    stage = bench(runtime="serial", serial={"start_up": "2 s"}, latency="1 s")
    stage.send(stage.work(1, seconds=4.0), stage.work(2))
    stage.environment.run()
    assert stage.spans("start_up") == [(1.0, 3.0), (9.0, 11.0)]
    assert stage.spans("train") == [(3.0, 7.0)]
    assert stage.delivered == [(1, 8.0), (2, 12.0)]


def test_every_request_takes_a_round_trip_and_a_start_up_begins_with_the_answer_to_the_look(bench):
    requests = {"download": 3, "upload": 2}
    stage = bench(runtime="serial", serial={"start_up": "5 s", "requests": requests}, latency="1 s")
    stage.send(stage.work(1, seconds=4.0))
    stage.environment.run()
    # answered at 1, fetched at 5, started at 6; worked until 10; announced by 12, at the server at 13
    assert stage.spans("start_up") == [(5.0, 6.0)]
    assert stage.spans("train") == [(6.0, 10.0)]
    assert stage.delivered == [(1, 13.0)]


def test_the_next_look_reaches_the_server_a_round_trip_after_the_reply_and_the_server_may_not_be_ready_then(bench):
    def second(turnaround):
        requests = {"download": 1, "upload": 1, "turnaround": turnaround}
        stage = bench(runtime="serial", serial={"polling_interval": "3 s", "requests": requests}, latency="1 s")
        first = stage.device.looks_since + 5
        stage.send(stage.work(1, seconds=4.0))
        # the reply is there 1 + 4 + 1 seconds after the look
        stage.send(stage.work(2, seconds=4.0), at=first + 6)
        stage.environment.run()
        return stage.spans("train")[1][0] - first

    assert second("0 s") == pytest.approx(6 + 2 + 1)
    assert second("2 s") == pytest.approx(6 + (3 + 2) + 1)


def test_a_message_whose_lifetime_is_over_starts_nothing(bench):
    stage = bench(runtime="serial", serial=SUPERNODE)
    stage.send(stage.work(1, seconds=4.0, wanted=lambda: False))
    stage.environment.run()
    assert stage.spans("start_up") == []
