"""B17: of a network of which little trains, little travels: four bytes for every trainable parameter, and nothing of what is frozen."""

import functools

import numpy as np
import pytest

from fedtiny.blueprint import blueprint
from fedtiny.experiment import run
from fedtiny.scenario.schema import Scenario

ROUNDS = 3
HEADERS = 1000
"""Bytes of a message beside its elements, at the most: the array's header, keys, configuration, metrics."""


def scenario(strategy, rounds=ROUNDS):
    return Scenario.model_validate(
        {
            "name": "payload",
            "model": {"kind": "mcunet_5fps"},
            "data": {"kind": "digits", "image_size": 32, "channels": 3},
            "training": {"batch_size": 2, "local_steps": 2, "optimizer": {"kind": "sgd", "learning_rate": 0.5}},
            "update": {"kind": "tinytl"},
            "strategy": strategy,
            "fleet": [
                {
                    "count": 2,
                    "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"},
                    "network": {"kind": "custom", "latency": "1 s"},
                }
            ],
            "stop": {"rounds": rounds},
            "evaluation": {"every": 1000},
        }
    )


FEDAVG = {"kind": "fedavg"}
DGA = {"kind": "dga", "delay": 2}
IN_FLIGHT = {"kind": "dga", "delay": 3}
EARLY = {"kind": "dga", "delay": 2, "send": "early"}
STRATEGIES = {"fedavg": FEDAVG, "dga": DGA, "dga in flight": IN_FLIGHT, "dga early": EARLY}

# Whether arrays travel in a device's messages, in their order. DGA: before(1) starts from the model; after(t) brings an average, if
# there is one yet; before(t) brings nothing and replies nothing; after(t) replies the round's sum.
DOWN = {"fedavg": [1, 1, 1], "dga": [1, 0, 0, 1, 0, 1], "dga in flight": [1, 0, 0, 0, 0, 1], "dga early": [1, 0, 1]}
UP = {"fedavg": [1, 1, 1], "dga": [0, 1] * 3, "dga in flight": [0, 1] * 3, "dga early": [1, 1, 1]}


@functools.cache
def result(name):
    return run(scenario(STRATEGIES[name]))


@functools.cache
def plans():
    return blueprint(scenario(FEDAVG))


def trainable_elements():
    return plans().plan.trainable_elements(plans().summary)


def messages(name, kind, device):
    return [row for row in result(name).activities.to_pylist() if (row["kind"], row["device"]) == (kind, device)]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("device", [0, 1])
def test_b17_only_trainable_tensors_travel(name, device):
    assert 0 < trainable_elements() < plans().summary.parameter_elements
    for kind, arrays in (("download", DOWN[name]), ("upload", UP[name])):
        assert [row["payload_bytes"] for row in messages(name, kind, device)] == [4 * trainable_elements() * there for there in arrays]


@pytest.mark.parametrize("name", STRATEGIES)
def test_b17_a_message_is_slightly_larger_than_its_payload(name):
    for device, kind in ((0, "download"), (0, "upload")):
        for row in messages(name, kind, device):
            assert row["payload_bytes"] < row["bytes"] < row["payload_bytes"] + HEADERS


@pytest.mark.parametrize("name", STRATEGIES)
def test_b17_frozen_tensors_stay_bit_by_bit_as_they_were(name):
    first, last = run(scenario(FEDAVG, rounds=0)).model, result(name).model
    assert first.keys() == last.keys()
    changed = {key for key in first if not np.array_equal(first[key], last[key])}
    assert changed <= set(plans().plan.trainable)
    assert len(changed) > len(plans().plan.trainable) / 2


def test_every_strategy_uploads_one_vector_a_round():
    up = {name: sum(row["payload_bytes"] for row in messages(name, "upload", 0)) for name in STRATEGIES}
    assert len(set(up.values())) == 1
