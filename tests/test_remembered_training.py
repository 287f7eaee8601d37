"""Runs that take finished work from a journal: the same bytes, nothing trained twice, and only what really is the same."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.errors import ScenarioError
from fedtiny.experiment import run
from fedtiny.models.given_network import given_network
from fedtiny.preparation import prepare
from fedtiny.remembered_training import remembered_quality, remembering
from fedtiny.scenario.schema import Scenario
from fedtiny.simulated_clients import in_this_process
from fedtiny.training.journal import Journal
from fedtiny.world_identity import differing, identity_key, world_identity


def scenario(latency="1 s", **changes):
    return Scenario.model_validate(
        {
            "name": "journal",
            "model": {"kind": "linear"},
            "data": {"kind": "synthetic", "classes": 3, "examples": 60, "test_examples": 40, "image_size": 4},
            "training": {"local_steps": 2, "batch_size": 8, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
            "strategy": {"kind": "fedavg"},
            "fleet": [
                {
                    "count": 3,
                    "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"},
                    "network": {"kind": "custom", "latency": latency},
                }
            ],
            "stop": {"rounds": 4},
            **changes,
        }
    )


class Counted:
    """Training in this process that counts the clients that it trains."""

    def __init__(self):
        self.trained = 0

    def __call__(self, world):
        @contextmanager
        def counting():
            with in_this_process()(world) as training:

                def execute(packages):
                    self.trained += sum(map(len, packages))
                    return training.execute(packages)

                yield replace(training, execute=execute)

        return counting()


def trained(tmp_path, *scenarios):
    """How many clients each run trains, all with one journal, and the runs."""
    counts, results = [], []
    for one in scenarios:
        counted = Counted()
        results.append(run(one, training=remembering(counted, Journal(tmp_path))))
        counts.append(counted.trained)
    return counts, results


@pytest.mark.parametrize("strategy", [{"kind": "fedavg"}, {"kind": "dga", "delay": 3}, {"kind": "dga", "delay": 0}])
def test_a_run_with_another_latency_trains_nothing_and_has_the_bytes_of_one_without_a_journal(tmp_path, strategy):
    one, other = scenario("1 s", strategy=strategy), scenario("5 s", strategy=strategy)
    counts, results = trained(tmp_path, one, other)
    assert counts[0] > 0
    assert counts[1] == 0
    plain = run(other)
    assert results[1].rounds.equals(plain.rounds)
    assert results[1].activities.equals(plain.activities)
    assert {name: value.tobytes() for name, value in results[1].model.items()} == {
        name: value.tobytes() for name, value in plain.model.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"training": {"local_steps": 2, "batch_size": 4, "optimizer": {"kind": "sgd", "learning_rate": 0.1}}},
        {"training": {"local_steps": 2, "batch_size": 8, "optimizer": {"kind": "sgd", "learning_rate": 0.2}}},
        {"training": {"local_steps": 2, "batch_size": 8, "optimizer": {"kind": "sgd", "learning_rate": 0.1}, "precision": "float64"}},
        {"update": {"kind": "last"}, "model": {"kind": "small_cnn"}},
        {"data": {"kind": "synthetic", "classes": 3, "examples": 61, "test_examples": 40, "image_size": 4}},
    ],
)
def test_what_learns_otherwise_is_trained(tmp_path, changes):
    counts, results = trained(tmp_path, scenario(), scenario(**changes))
    assert counts[1] == counts[0] > 0
    assert results[1].rounds.equals(run(scenario(**changes)).rounds)


def test_more_rounds_go_on_where_the_journal_ends(tmp_path):
    counts, _ = trained(tmp_path, scenario(stop={"rounds": 2}), scenario(stop={"rounds": 5}))
    assert counts == [6, 9]


def test_quality_is_remembered_bit_by_bit(tmp_path):
    world, journal = prepare(scenario()), Journal(tmp_path)
    vector = world.flat.read()
    key = identity_key(world_identity(world))
    first = remembered_quality(world, journal, key)(vector)
    files = len(list(tmp_path.iterdir()))
    world.flat.weights.zero_()
    again = remembered_quality(prepare(scenario()), journal, key)(vector)
    assert (first, files) == (again, 1)
    assert len(list(tmp_path.iterdir())) == 1
    other = remembered_quality(prepare(scenario()), journal, key)(vector * np.float32(0.5))
    assert other.loss != first.loss


def test_the_identity_of_a_world_names_what_is_different():
    one = world_identity(prepare(scenario()))
    assert identity_key(one) == identity_key(world_identity(prepare(scenario("9 s"))))
    other = prepare(scenario())
    with torch.no_grad():
        next(other.blueprint.network.parameters()).reshape(-1)[0] += 1e-6
    assert [text.split(" (")[0] for text in differing(one, world_identity(other))] == ["network"]
    seeds = differing(one, world_identity(prepare(scenario(seed=1))))
    assert "seed (0 here, 1 there)" in seeds


class Mine(nn.Linear):
    def __init__(self):
        nn.Linear.__init__(self, 16, 3)

    def forward(self, inputs):
        return nn.functional.linear(inputs.flatten(1), self.weight, self.bias)


def test_a_network_that_only_this_process_knows_has_no_journal(tmp_path):
    given = scenario().model_copy(update={"model": given_network(Mine)})
    with pytest.raises(ScenarioError, match="given from Python"):
        run(given, training=remembering(in_this_process(), Journal(tmp_path)))
