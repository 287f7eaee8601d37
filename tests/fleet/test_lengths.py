"""Distributions of lengths: quantiles, means, and what is left of a length that is met."""

import numpy as np
import pytest
from pydantic import ValidationError

from fedtiny.fleet.availability import Sessions
from fedtiny.fleet.lengths import Exponential, LogNormalLengths, QuantileLengths

EVEN = (np.arange(400_000) + 0.5) / 400_000
SHORT = LogNormalLengths(median="345 s", sigma=0.8)
CUT = LogNormalLengths(median="345 s", sigma=2.7, longest="2 h")
ALL = [Exponential(30.0), SHORT, CUT, Sessions().session, Sessions().gap]


@pytest.mark.parametrize("lengths", ALL, ids=str)
def test_the_mean_is_that_of_the_lengths_drawn(lengths):
    assert lengths.draw(EVEN).mean() == pytest.approx(lengths.mean(), rel=2e-3)


@pytest.mark.parametrize("lengths", ALL, ids=str)
def test_what_is_left_is_what_a_moment_finds_of_a_row_of_lengths(lengths):
    generator = np.random.default_rng(5)
    row = np.cumsum(lengths.draw(generator.random(400_000)))
    moments = generator.random(200_000) * row[-1]
    found = np.sort(row[np.searchsorted(row, moments)] - moments)
    expected = np.sort(lengths.left(generator.random(200_000), generator.random(200_000)))
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9):
        place = int(quantile * 200_000)
        assert found[place] == pytest.approx(expected[place], rel=0.05)


def test_quantiles_are_those_that_were_stated():
    gaps = Sessions().gap
    assert gaps.draw(np.array([0.05, 0.25, 0.5, 0.75, 0.95])) == pytest.approx([1, 2, 15, 974, 11118])
    assert gaps.draw(EVEN).max() <= gaps.longest
    assert gaps.draw(np.array([0.375]))[0] == pytest.approx(np.sqrt(2 * 15)), "straight in ln between two quantiles"


def test_the_published_means_fix_the_longest_lengths():
    assert Sessions().session.mean() == pytest.approx(7035, rel=1e-4)
    assert Sessions().gap.mean() == pytest.approx(2444, rel=1e-4)


def test_log_normal_lengths_have_their_median_and_spread():
    drawn = np.log(SHORT.draw(EVEN))
    assert np.median(drawn) == pytest.approx(np.log(345))
    assert drawn.std() == pytest.approx(0.8, rel=1e-3)
    assert CUT.draw(EVEN).max() <= 7200


def test_quantiles_that_do_not_ascend_are_refused():
    keys = {"shortest": "1 s", "p5": "2 s", "p25": "3 s", "p50": "3 s", "p75": "5 s", "p95": "6 s", "longest": "7 s"}
    with pytest.raises(ValidationError, match="each longer than the one before"):
        QuantileLengths.model_validate(keys)
