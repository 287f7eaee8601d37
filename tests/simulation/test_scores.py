"""Scores of transfers: normal, the same whenever they are asked for, and not forgotten with the device."""

import statistics

import pytest
import simpy

from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import Agenda, agenda_of
from fedtiny.simulation.scores import Scores

DEVICE = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()
NETWORK = CustomNetwork.model_validate({"kind": "custom", "latency": "0 s"}).profile()


def scores(agenda: Agenda, *, number: int = 3, index: int = 3, direction: str = "uplink", purpose: str = "rate") -> Scores:
    return Scores(agenda, Streams(1), Traits(number, 0, index, "g", DEVICE, NETWORK), direction, purpose)


def test_they_are_normal():
    one = scores(agenda_of(simpy.Environment()))
    sample = [one.take() for _ in range(4000)]
    assert (statistics.fmean(sample), statistics.pstdev(sample)) == (pytest.approx(0.0, abs=0.05), pytest.approx(1.0, abs=0.05))


def test_a_device_that_was_forgotten_goes_on_where_it_was():
    agenda = agenda_of(simpy.Environment())
    whole = scores(agenda_of(simpy.Environment()))
    assert [scores(agenda).take() for _ in range(5)] == [whole.take() for _ in range(5)]


def test_a_device_is_who_it_is_in_its_group_wherever_that_begins():
    assert scores(agenda_of(simpy.Environment()), number=3).take() == scores(agenda_of(simpy.Environment()), number=100).take()


def test_devices_directions_and_purposes_have_scores_of_their_own():
    agenda = agenda_of(simpy.Environment())
    found = [
        scores(agenda).take(),
        scores(agenda, number=4, index=4).take(),
        scores(agenda, direction="downlink").take(),
        scores(agenda, purpose="latency").take(),
    ]
    assert len(set(found)) == 4
