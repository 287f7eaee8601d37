"""The comparison of searches and of rankings, small: benchmarks/tinynas.py, which is a script."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fedtiny.datasets.digits import Digits
from fedtiny.design.architecture_search import Evolution
from fedtiny.design.supernet import SupernetTraining
from fedtiny.models.elastic_space import ElasticSpace, ElasticStage
from fedtiny.randomness import Streams
from fedtiny.training.local import Examples


@pytest.fixture(scope="module")
def tinynas():
    spec = importlib.util.spec_from_file_location("fedtiny_benchmark_tinynas", Path(__file__).parents[2] / "benchmarks" / "tinynas.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("first", "second", "tau"),
    [
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 2, 4, 3], 4 / 6),
        ([12, 2, 1, 12, 2], [1, 4, 7, 1, 0], -0.47140452079103173),  # scipy.stats.kendalltau's example
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_kendalls_tau_counts_pairs_and_ties(tinynas, first, second, tau):
    assert tinynas.kendall_tau(first, second) == pytest.approx(tau)


def test_a_ranking_that_is_the_same_is_hardly_chance_and_one_that_is_reversed_is(tinynas, monkeypatch):
    monkeypatch.setattr(tinynas, "PERMUTATIONS", 2000)
    same = tinynas.p_value(list(range(8)), list(range(8)))
    assert same < 0.002
    assert tinynas.p_value(list(range(8)), list(reversed(range(8)))) > 0.99


def test_networks_are_searched_within_the_bound_and_ranked_both_ways(tinynas, monkeypatch):
    monkeypatch.setattr(tinynas, "PERMUTATIONS", 50)
    found = Digits().load(Streams(0))
    inputs, targets = torch.from_numpy(found.train_inputs).float(), torch.from_numpy(found.train_targets)
    validation, learning = Examples(inputs[:200], targets[:200]), Examples(inputs[200:], targets[200:])
    data = tinynas.Data(learning, validation, Examples(torch.from_numpy(found.test_inputs).float(), torch.from_numpy(found.test_targets)))
    space = ElasticSpace(
        stem=8, stages=(ElasticStage(channels=8), ElasticStage(channels=16)), depths=(1, 2), kernels=(3, 5), resolutions=(8,)
    )
    training = SupernetTraining(steps=15, kernel_steps=5, depth_steps=5, expansion_steps=10, networks=(1, 1, 2), batch_size=32)
    small = replace(tinynas.FULL, space=space, training=training, search=Evolution(population=4, generations=2))
    small = replace(small, networks=5, alone_steps=10, seeds=2, size=8)
    measured = tinynas.measure(small, data)
    assert len(measured["ranking"]["networks"]) == 5
    assert -1 <= measured["ranking"]["kendall_tau"] <= 1
    assert all(row["evaluations"] > 4 and row["evolved"] > 0 for row in measured["search"])
    within = tinynas.constraints(small)
    assert not within.met(tinynas.largest(space))
