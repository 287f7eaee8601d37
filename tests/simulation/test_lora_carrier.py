"""A device with a LoRa radio: packets, and a channel that is closed for most of the time."""

import pytest

from fedtiny.fleet.lora import LoRa

LORA = {"spreading_factor": 7, "payload": 222}
SF7 = LoRa(spreading_factor=7, payload=222)
FETCHED = SF7.airtime(0) + 1.0 + SF7.airtime(10)


def test_the_channel_is_closed_after_a_packet_until_the_duty_cycle_is_kept(bench):
    stage = bench(lora=LORA)
    stage.send(stage.work(1, size=10, reply=222))
    stage.environment.run()
    (download,), (upload,) = stage.spans("download"), stage.spans("upload")
    assert download == pytest.approx((0.0, FETCHED))
    # the gateway answered with the longer packet: the channel opens when that one's share is over
    opens = max(SF7.airtime(0), SF7.airtime(10)) / 0.01
    assert upload == pytest.approx((FETCHED, opens + SF7.airtime(222)))


def test_an_update_of_100_kB_takes_four_hours_and_a_half(bench):
    stage = bench(lora=LORA)
    stage.send(stage.work(1, size=0, reply=100_000))
    stage.environment.run()
    (start, end), (_, downloaded) = stage.spans("upload")[0], stage.spans("download")[0]
    closed = SF7.airtime(0) / 0.01 - downloaded
    assert (start, end - start - closed) == (downloaded, pytest.approx(4.6 * 3600, rel=0.01))


def test_a_run_that_ends_meanwhile_counts_whole_packets(bench):
    stage = bench(lora=LORA)
    stage.send(stage.work(1, size=0, reply=2220))
    stage.environment.run(until=200.0)
    stage.trace.cut(200.0)
    begun = SF7.airtime(0) / 0.01
    assert stage.of("upload")[0].bytes == (int((200.0 - begun - SF7.airtime(222)) // (SF7.airtime(222) / 0.01)) + 1) * 222


def test_a_device_is_remembered_while_its_channel_is_closed(bench):
    stage = bench(lora=LORA)
    stage.send(stage.work(1, size=10, reply=222))
    stage.environment.run()
    assert stage.device.remembers
    stage.environment.run(until=stage.environment.now + SF7.airtime(222) / 0.01)
    assert not stage.device.remembers
