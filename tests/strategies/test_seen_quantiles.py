"""Quantiles of values of which some are only bounded, and of sums."""

import itertools

import numpy as np
import pytest

from fedtiny.strategies.seen_quantiles import quantile_below, quantile_of, quantile_of_sum


@pytest.mark.parametrize(
    ("trips", "quantile", "expected"),
    [
        ([(1.0, True), (2.0, True), (3.0, True), (4.0, True)], 0.5, 2.0),
        ([(1.0, True), (2.0, True), (3.0, True), (4.0, True)], 0.75, 3.0),
        ([(1.0, True), (2.0, False), (2.0, False), (2.0, False), (3.0, True)], 0.8, 1.0),
        ([(1.0, True), (2.0, False), (2.0, False), (2.0, False), (3.0, True)], 0.81, 3.0),
        ([(2.0, False)], 0.5, None),
        ([], 0.5, None),
    ],
)
def test_values_that_are_only_bounded_count_with_what_they_bound(trips, quantile, expected):
    assert quantile_below(trips, quantile) == expected


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.6, 0.95, 1.0])
def test_the_quantile_of_a_sum_is_that_of_all_pairs(quantile):
    trips, others = [1.0, 1.0, 2.5, 4.0], [0.0, 0.0, 1.0, 1.5, 7.0]
    pairs = sorted(trip + other for trip, other in itertools.product(trips, others))
    found = quantile_of_sum([(trip, True) for trip in trips], others, quantile)
    assert found == quantile_of(pairs, quantile) == np.quantile(pairs, quantile, method="inverted_cdf")


def test_a_bound_counts_in_a_sum_with_what_it_bounds():
    # of the two below 3, one is at 1 for certain: the bound at 2 says the same of the other
    trips = [(1.0, True), (2.0, False), (3.0, True)]
    assert [quantile_of_sum(trips, [0.0, 0.5], quantile) for quantile in (0.3, 0.4, 0.8, 0.9)] == [1.0, 1.5, 3.0, 3.5]


def test_without_an_exact_value_or_another_there_is_no_quantile_of_a_sum():
    assert quantile_of_sum([(1.0, False)], [0.0], 0.5) is None
    assert quantile_of_sum([(1.0, True)], [], 0.5) is None
