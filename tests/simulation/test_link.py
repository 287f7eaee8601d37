"""What a link carries, and what is left when it is interrupted."""

import math
from typing import Any

import pytest
import simpy

from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.link import Link

DEVICE = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()


class Passenger(simpy.Event):
    """Who is carried: as with a journey, it is scheduled as a success without a value."""

    _ok = True
    _value = None


def link(environment: simpy.Environment, *, interruptible: bool = True, **network: Any) -> Link:
    """The uplink of a device."""
    profile = CustomNetwork.model_validate({"kind": "custom", "latency": "0 s", **network}).profile()
    traits = Traits(number=0, group=0, index=0, group_name="g", device=DEVICE, network=profile)
    return Link(agenda_of(environment), traits, profile.uplink, Streams(0), "uplink", interruptible=interruptible)


def carried(size: int, *, interruptible: bool, **network: Any) -> tuple[float, list[float]]:
    """When a transfer is planned to end, and when it does."""
    environment = simpy.Environment()
    ended: list[float] = []
    planned = link(environment, interruptible=interruptible, **network).carry(
        Passenger(environment), size, (lambda _: ended.append(environment.now),)
    )
    environment.run()
    return planned, ended


@pytest.mark.parametrize("interruptible", [False, True])
@pytest.mark.parametrize(("uplink", "seconds"), [("100 B/s", 3.0), ("unlimited", 0.0)])
def test_a_transfer_ends_when_it_was_planned_to(interruptible, uplink, seconds):
    assert carried(300, interruptible=interruptible, uplink=uplink) == (seconds, [seconds])


@pytest.mark.parametrize(("at", "left"), [(0.0, 300), (1.0, 200), (1.005, 200), (1.999, 101), (3.0, 0)])
def test_what_is_interrupted_does_not_end_and_has_sent_whole_bytes_in_proportion_to_the_time(at, left):
    environment = simpy.Environment()
    uplink, journey = link(environment, uplink="100 B/s"), Passenger(environment)
    still: list[int] = []
    environment.timeout(at).callbacks.append(lambda _: still.append(uplink.interrupt(journey)))
    uplink.carry(journey, 300, (lambda _: pytest.fail("it was interrupted"),))
    environment.run()
    assert still == [left]


def test_what_was_left_is_carried_in_the_time_that_was_left():
    environment = simpy.Environment()
    uplink, journey = link(environment, uplink="100 B/s"), Passenger(environment)
    ended: list[float] = []
    uplink.carry(journey, 300, (lambda _: None,))
    environment.timeout(1.0).callbacks.append(
        lambda _: uplink.carry(journey, uplink.interrupt(journey), (lambda _: ended.append(environment.now),))
    )
    environment.run()
    assert ended == [3.0]


def test_an_unlimited_link_has_nothing_left_to_send():
    environment = simpy.Environment()
    uplink, journey = link(environment), Passenger(environment)
    assert uplink.carry(journey, 300, (lambda _: None,)) == 0.0
    assert uplink.interrupt(journey) == 0
    assert math.isinf(uplink.bandwidth)
