"""Statistics over seeds: means and paired comparisons with their 95 % confidence intervals.

Student's t with n - 1 degrees of freedom throughout, which takes the values of seeds (or their differences, or the logarithms of their
ratios) to be independent and normal. A value that is not there is not made up: whoever asks for a mean says which values count, and
what comes back says how many they were.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

CONFIDENCE: Final = 0.95


@dataclass(frozen=True)
class Interval:
    """A mean over `count` values and half the width of its 95 % confidence interval (None for one value)."""

    mean: float
    half_width: float | None
    count: int


@dataclass(frozen=True)
class Ratio:
    """A geometric mean of `count` paired ratios and the ends of its 95 % confidence interval (None for one pair)."""

    mean: float
    low: float | None
    high: float | None
    count: int


def mean_interval(values: Iterable[float | None]) -> Interval | None:
    """Mean and 95 % confidence interval of the values that are there and finite; None without any."""
    known = np.asarray([value for value in values if value is not None and np.isfinite(value)], dtype=np.float64)
    if known.size == 0:
        return None
    if known.size == 1:
        return Interval(float(known[0]), None, 1)
    from scipy.special import stdtrit  # not at the top: importing it takes longer than everything else here

    quantile = float(stdtrit(known.size - 1, (1 + CONFIDENCE) / 2))
    return Interval(float(known.mean()), quantile * float(known.std(ddof=1)) / float(np.sqrt(known.size)), int(known.size))


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> Interval | None:
    """Mean and 95 % interval of first - second, taken seed by seed (the keys), so that what runs of one seed share cancels.

    Raises ValueError where the two did not run under the same seeds.
    """
    _check_paired(first, second)
    return mean_interval(first[seed] - second[seed] for seed in sorted(first))


def paired_ratio(first: Mapping[int, float], second: Mapping[int, float]) -> Ratio | None:
    """Geometric mean of first / second and its 95 % interval, taken seed by seed: that of the difference of the logarithms.

    Raises ValueError where the two did not run under the same seeds, or a value is not above 0.
    """
    _check_paired(first, second)
    if any(value <= 0 for value in (*first.values(), *second.values())):
        raise ValueError("a ratio is of values above 0")
    logarithm = mean_interval(float(np.log(first[seed] / second[seed])) for seed in sorted(first))
    if logarithm is None:
        return None
    ends = [None if logarithm.half_width is None else float(np.exp(logarithm.mean + sign * logarithm.half_width)) for sign in (-1, 1)]
    return Ratio(float(np.exp(logarithm.mean)), ends[0], ends[1], logarithm.count)


def _check_paired(first: Mapping[int, float], second: Mapping[int, float]) -> None:
    if first.keys() != second.keys():
        raise ValueError(f"the runs have different seeds: {sorted(first)} and {sorted(second)}")
