"""Devices by classes are the devices of a prepared world, whatever the partition."""

import random
import time

import pytest

import fedtiny
from fedtiny.device_classes import Enrolled, timed_fleet
from fedtiny.preparation import prepare

SCENARIO = """
name: classes
model: small_cnn
data: {kind: synthetic, examples: 103, test_examples: 4}
training: {batch_size: 5}
strategy: fedavg
on_out_of_memory: exclude
fleet:
  - {count: 4, device: {kind: custom, memory: 1 GB, step_time: 100 ms}, network: lte_driving}
  - {count: 3, device: {kind: custom, memory: 1 kB, step_time: 100 ms}, network: {kind: custom, latency: 10 ms}}
  - {count: 5, device: raspberry_pi_4, network: {kind: custom, latency: 10 ms}}
stop: {rounds: 2}
"""


def loaded(tmp_path, **overrides):
    file = tmp_path / "classes.yaml"
    file.write_text(SCENARIO)
    return fedtiny.load_scenario(file, {"learning": "none", **overrides})


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"training.batch_size": "all"},
        {"data.train_examples": 60},
        {"data.partition": {"kind": "sizes", "sigma": 1.0}},
        {"data.partition": {"kind": "by_device_class", "home": {"smallest": [0, 1]}}},
        {"data": {"kind": "digits"}},
        {"model": {"kind": "small_cnn", "pretrained": {"steps": 1, "share": 0.4}}},
    ],
    ids=str,
)
def test_every_device_has_the_class_of_what_it_would_be_in_a_run(tmp_path, overrides):
    scenario = loaded(tmp_path, **overrides)
    fleet, world = timed_fleet(scenario), prepare(scenario)
    for participant in world.participants:
        number = participant.traits.number
        found = fleet.classes[fleet.place_of(number)]
        assert (found.examples, found.batch_size) == (len(participant.batches.indices), participant.batches.batch_size)
        assert (found.one.fits, found.one.reason, found.one.plan) == (participant.fits, participant.reason, participant.plan)
        assert fleet.traits(number) == participant.traits
    assert list(Enrolled(fleet.included)) == [participant.traits.number for participant in world.included]
    assert fleet.elements == len(world.flat.read())


def test_sampling_those_enrolled_draws_as_from_a_list_of_them(tmp_path):
    enrolled = Enrolled(timed_fleet(loaded(tmp_path)).included)
    for count in (1, 3, len(enrolled)):
        assert random.Random(5).sample(enrolled, count) == random.Random(5).sample(list(enrolled), count)


def test_places_outside_those_enrolled_are_refused(tmp_path):
    enrolled = Enrolled(timed_fleet(loaded(tmp_path)).included)
    assert enrolled[2:6] == list(enrolled)[2:6]
    with pytest.raises(IndexError, match="9 devices"):
        enrolled[9]


def test_ten_million_devices_are_two_classes_at_once(tmp_path):
    group = {"count": 10_000_000, "device": "raspberry_pi_4", "network": "lte_driving"}
    scenario = loaded(tmp_path, fleet=[group], **{"data.examples": 200_000_003})
    before = time.process_time()
    fleet = timed_fleet(scenario)
    assert time.process_time() - before < 5
    assert [(item.count, item.examples) for item in fleet.classes] == [(3, 21), (9_999_997, 20)]
