"""Quantiles of times (s) of which some were seen exactly and of the others only a bound from above, and of sums of such times.

The distribution is the product-limit estimate for values that are bounded from above (Kaplan, Meier, JASA 1958, with the order
reversed): of the values above x, 1 - (how many are exactly v)/(how many are at most v), multiplied over the v.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np

Seen = tuple[float, bool]
"""A time (s), and whether it is exact or an upper bound."""
SLACK: Final = 1e-9


def quantile_below(trips: Collection[Seen], quantile: float) -> float | None:
    """The smallest exact value that a share of `quantile` does not exceed; None where no value is exact."""
    found = None
    for value, share, _ in _descending(trips):
        if found is not None and share < quantile - SLACK:
            break
        found = value
    return found


def quantile_of_sum(trips: Collection[Seen], others: Collection[float], quantile: float) -> float | None:
    """The same of a trip plus one of the `others` (s), all of these equally likely and none of them depending on the trip."""
    steps = list(_descending(trips))
    if not steps or not others:
        return None
    values, masses = np.array([value for value, _, _ in steps]), np.array([mass for _, _, mass in steps])
    # what no exact value is left for lies somewhere below the smallest
    masses[-1] += 1 - masses.sum()
    sums = np.add.outer(values, np.array(list(others))).ravel()
    weights = np.repeat(masses / len(others), len(others))
    order = np.argsort(sums, kind="stable")
    return float(sums[order][np.searchsorted(np.cumsum(weights[order]), quantile - SLACK)])


def quantile_of(ascending: Sequence[float], quantile: float) -> float | None:
    """The smallest value that a share of `quantile` of the values does not exceed; None of none."""
    return ascending[max(0, math.ceil(quantile * len(ascending) - SLACK) - 1)] if ascending else None


def _descending(trips: Collection[Seen]) -> Iterator[tuple[float, float, float]]:
    """The exact values from the largest: (value, the estimated share of all that is at most this, the share that is this)."""
    ascending = sorted(trips)
    share = 1.0
    for place in range(len(ascending) - 1, -1, -1):
        value, exact = ascending[place]
        if exact:
            yield value, share, share / (place + 1)
            share *= place / (place + 1)
