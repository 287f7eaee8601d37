"""Measuring ways of training: what is counted, and which way is said to suit."""

from itertools import count

import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.randomness import Streams
from fedtiny.training.batches import Batches
from fedtiny.training.cohort_measurement import MeasuredCohort, measure_cohorts, suits
from fedtiny.training.cohort_rules import Cohort
from fedtiny.training.local import Examples, FlatNetwork, LocalLearner
from fedtiny.training.optimizer import SGD


def learners(flat):
    examples = Examples(torch.randn(40, 6), torch.randint(0, 3, (40,)))

    def learner(number):
        own = np.arange(10 * number, 10 * number + 10)
        return LocalLearner(number, flat, examples, Batches(own, 5, Streams(0), ("device", number)), SGD())

    return learner


def flat_network(*layers):
    network = nn.Sequential(*layers)
    return FlatNetwork(network, [name for name, _ in network.named_parameters()])


def measured(*ratios):
    ways = [Cohort(execution="loop", clients=1), *(Cohort(execution="vectorised", clients=4 * 2**place) for place in range(len(ratios)))]
    return [MeasuredCohort(cohort, 1 / ratio, ratio) for cohort, ratio in zip(ways, (1.0, *ratios), strict=True)]


def test_every_size_that_the_clients_fill_is_tried_beside_one_by_one():
    flat = flat_network(nn.Linear(6, 3))
    before = flat.read()
    found = measure_cohorts(flat, learners(flat), range(4), steps=2, clock=count().__next__, turns=3, sizes=(2, 4, 8))
    assert [(each.cohort.execution, each.cohort.clients) for each in found] == [("loop", 1), ("vectorised", 2), ("vectorised", 4)]
    assert {each.seconds for each in found} == {0.25}
    assert {each.ratio for each in found} == {1.0}
    np.testing.assert_array_equal(flat.read(), before)


def test_a_network_without_a_form_for_many_clients_is_trained_one_by_one():
    flat = flat_network(nn.Linear(6, 3), nn.PReLU())
    found = measure_cohorts(flat, learners(flat), range(4), steps=1, clock=count().__next__, turns=1)
    assert [each.cohort.execution for each in found] == ["loop"]
    assert suits(found).execution == "loop"


@pytest.mark.parametrize(
    ("ratios", "execution", "clients"),
    [((1.02, 0.9), "loop", 1), ((2.0, 3.0), "vectorised", 8), ((2.95, 3.0), "vectorised", 4), ((), "loop", 1)],
)
def test_the_smallest_of_the_fastest_ways_suits(ratios, execution, clients):
    assert suits(measured(*ratios)) == Cohort(execution=execution, clients=clients)


@pytest.mark.parametrize("wrong", [{"numbers": ()}, {"turns": 0}, {"steps": 0}])
def test_nothing_to_measure_is_an_error(wrong):
    flat = flat_network(nn.Linear(6, 3))
    with pytest.raises(ValueError, match="at least 1"):
        measure_cohorts(flat, learners(flat), **{"numbers": range(4), "turns": 1, "steps": 1, **wrong}, clock=count().__next__)
