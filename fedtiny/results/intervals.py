"""Means over seeds with their 95 % confidence intervals, and differences between paired runs.

With n values of mean m and (unbiased) standard deviation s, the interval is m +- t s / sqrt(n), where t is Student's quantile for
n - 1 degrees of freedom (Student: The Probable Error of a Mean, Biometrika 6, 1908). Two arms of an experiment that ran under
the same seeds met the same devices, data and draws, so their difference is taken seed by seed: what the seeds have in common
cancels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Interval:
    """A mean and the interval in which the true mean lies with the stated confidence."""

    mean: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half the interval's width; NaN for one value, which says nothing about its spread."""
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval is on one side of 0."""
        return self.low > 0 or self.high < 0


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The mean of one value per seed, with its confidence interval; NaN bounds for a single value. ValueError without values."""
    if not values:
        raise ValueError("a mean needs at least one value")
    count, mean = len(values), float(np.mean(values))
    if count == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = float(stdtrit(count - 1, (1 + confidence) / 2)) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, count)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float], confidence: float = 0.95) -> Interval:
    """The mean of first - second over the seeds (keys) of two arms. ValueError where they did not run under the same seeds."""
    if first.keys() != second.keys():
        raise ValueError(f"the arms ran under different seeds: {sorted(first)} and {sorted(second)}")
    return mean_interval([first[seed] - second[seed] for seed in sorted(first)], confidence)
