"""Examples drawn with replacement have the numbers and the labels that the recipe says."""

import math

import numpy as np
import pytest

from fedtiny.datasets.with_replacement import WithReplacement
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

TARGETS = np.random.default_rng(0).permutation(np.repeat(np.arange(4), [400, 300, 200, 100]))


def generator(*path):
    return Streams(0).numpy(*path)


def test_numbers_are_log_normal_within_their_bounds():
    recipe = WithReplacement(examples=100, sigma=1.0, most=1000)
    assert recipe.numbers(np.array([-10.0, -1.0, 0.0, 1.0, 10.0])).tolist() == [1, 37, 100, 272, 1000]


def test_without_a_spread_all_have_as_many():
    assert WithReplacement(examples=7).numbers(np.array([-3.0, 0.0, 3.0])).tolist() == [7, 7, 7]


def test_an_extreme_spread_ends_in_a_number_and_not_in_an_overflow():
    assert WithReplacement(examples=100, sigma=4).numbers(np.array([300.0])).tolist() == [10_000_000]


def test_examples_are_drawn_from_the_whole_data_set_alike():
    drawn = WithReplacement(examples=1).source(TARGETS).draw(100_000, generator("iid"))
    counts = np.bincount(drawn, minlength=len(TARGETS))
    assert (np.diff(drawn) >= 0).all()
    assert counts.min() > 0
    assert abs(counts - 100).max() < 6 * math.sqrt(100)


def test_labels_of_devices_are_a_dirichlet_around_the_data_sets():
    """Mean p, variance p (1 - p) / (alpha C + 1), for C = 4 labels; of 3,000 devices of which each has so many examples that its
    labels show it."""
    alpha, source = 0.5, WithReplacement(examples=1, alpha=0.5).source(TARGETS)
    shares = np.array(
        [np.bincount(TARGETS[source.draw(2_000, generator("device", number))], minlength=4) / 2_000 for number in range(3_000)]
    )
    expected = np.array([0.4, 0.3, 0.2, 0.1])
    variance = expected * (1 - expected) / (alpha * 4 + 1)
    assert abs(shares.mean(axis=0) - expected).max() < 5 * math.sqrt(variance.max() / 3_000)
    assert shares.var(axis=0) == pytest.approx(variance, rel=0.1)


def test_examples_of_a_label_are_drawn_alike():
    source = WithReplacement(examples=1, alpha=1e6).source(TARGETS)
    counts = np.bincount(source.draw(200_000, generator("alike")), minlength=len(TARGETS))
    assert abs(counts - 200).max() < 6 * math.sqrt(200)


def test_few_labels_for_a_small_alpha():
    source = WithReplacement(examples=1, alpha=0.01).source(TARGETS)
    labels = [len(np.unique(TARGETS[source.draw(50, generator("few", number))])) for number in range(200)]
    assert np.mean(labels) < 1.5


def test_labels_are_asked_for_only_where_there_are_any():
    with pytest.raises(DataError, match="are no classes"):
        WithReplacement(examples=1, alpha=1.0).source(np.zeros(3))
    assert len(WithReplacement(examples=1).source(np.zeros(3)).draw(5, generator("numbers"))) == 5


def test_nothing_is_split():
    with pytest.raises(DataError, match="this fleet is one of groups"):
        WithReplacement(examples=1).split(TARGETS, 3, Streams(0))
