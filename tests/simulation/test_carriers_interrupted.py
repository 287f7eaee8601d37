"""Whatever carries a transfer can be stopped, knows what is left, and carries the rest."""

from typing import Any

import pytest
import simpy

from fedtiny.fleet.lora import LoRa


class Passenger(simpy.Event):
    """Who is carried: as with a journey, it is scheduled as a success without a value."""

    _ok = True
    _value = None

    def __init__(self, environment: simpy.Environment, work: Any) -> None:
        self.env, self.work = environment, work


NETWORKS = {
    "shared": {"access_point": {"devices": 3, "uplink": "100 B/s"}},
    "time of day": {"uplink": "100 B/s", "time_of_day": {}},
    "radio": {"uplink": "100 B/s", "radio_states": {"inactivity": "10 s", "promotion": "0 s"}},
    "radio on a shared link": {
        "access_point": {"devices": 3, "uplink": "100 B/s"},
        "radio_states": {"inactivity": "10 s", "promotion": "0 s"},
    },
}


def carried(stage: Any, size: int, stops: list[float]) -> tuple[list[int], list[float]]:
    """What was left at each stop, and when the transfer ended; it goes on at once after each."""
    environment, link = stage.environment, stage.device.uplink
    passenger, left, ended = Passenger(environment, stage.work(1)), [], []
    done = (lambda _: ended.append(environment.now),)

    def stop(_: Any) -> None:
        left.append(link.interrupt(passenger))
        link.carry(passenger, left[-1], done)

    link.carry(passenger, size, done)
    for moment in stops:
        environment.timeout(moment).callbacks.append(stop)
    environment.run()
    return left, ended


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_what_is_left_is_whole_bytes_and_takes_the_time_that_was_left(bench, network):
    left, ended = carried(bench(**network), 300, [1.0, 2.5])
    assert left == [200, 50]
    assert ended == [pytest.approx(3.0)]


def test_a_transfer_that_is_stopped_while_the_radio_wakes_has_sent_nothing_and_wakes_it_again(bench):
    stage = bench(uplink="100 B/s", radio_states={"inactivity": "10 s", "promotion": "2 s"})
    left, ended = carried(stage, 300, [1.5])
    assert left == [300]
    assert ended == [pytest.approx(1.5 + 2.0 + 3.0)]
    assert [(one.start, one.end, one.outcome) for one in stage.of("promotion")] == [(0, 1.5, "cancelled"), (1.5, 3.5, "done")]


def test_a_packet_that_is_cut_is_sent_again_when_the_channel_opens(bench):
    lora = LoRa(spreading_factor=7, payload=222)
    period, airtime = lora.period(up=True), lora.airtime(222)
    left, ended = carried(bench(lora={"spreading_factor": 7, "payload": 222}), 3 * 222, [period + airtime / 2])
    assert left == [2 * 222]
    assert ended == [pytest.approx(2 * period + period + airtime)]
