"""How latencies and rates differ: from device to device, and from one transfer of a device to its next.

A spread turns a standard normal z into a factor of the median, so that whatever the spread, the same draws give the same ranks:

- log-normal: exp(sigma z). *Truncated* to [a, b] (factors too): with u = Phi(z), the value of rank F(a) + u (F(b) - F(a)).
- from quantiles: ln of the factor is linear in the normal score z_p between the median and the published quantiles, and goes on alike
  beyond the outermost ones; bounds cut it off. A log-normal is the case of one line. The median and each quantile given are met exactly,
  which a fitted log-normal does not do where the data are skewed.
- normal, truncated (as in FLASH, Yang et al., WWW 2021): the factor is normal around 1 and within 0.05 to 1.95, and its standard
  deviation *after* truncation is the one that was published.
"""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from statistics import NormalDist
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from fedtiny.errors import UnitError
from fedtiny.units import DATA_RATE, TIME, parse_quantity

NORMAL: Final = NormalDist()
WIDEST: Final = 0.95
"""How far from 1 the factor of a truncated normal can be."""
LARGEST_DEVIATION: Final = 0.5
_MOST_QUANTILES: Final = 20
_EXAMPLE: Final = {"s": "p5 3 ms, p95 80 ms", "B/s": "p5 1 Mbit/s, p95 40 Mbit/s", "": "p90 2.3, p99 20"}

Pairs = tuple[tuple[float, float], ...]
"""(percentage, value), ascending."""


def _reader(units: Mapping[str, float], unit: str) -> Callable[[Any], Pairs]:
    def read(value: Any) -> Pairs:
        if not isinstance(value, str):
            raise UnitError(f"expected quantiles beside the median, such as '{_EXAMPLE[unit]}', found {value!r}")
        pairs = [_pair(item, units, unit) for item in value.split(",")]
        ascends = all(one[0] < two[0] and one[1] < two[1] for one, two in pairwise(pairs))
        if not ascends or len(pairs) > _MOST_QUANTILES:
            raise UnitError(f"quantiles must ascend, percentages and values, and be {_MOST_QUANTILES} at most, found {value!r}")
        return tuple(pairs)

    return read


def _pair(item: str, units: Mapping[str, float], unit: str) -> tuple[float, float]:
    found = re.fullmatch(r"\s*p(\d{1,2}(?:\.\d{1,6})?)\s+(.+?)\s*", item)
    percentage = float(found.group(1)) if found else 0.0
    if found is None or not 0 < percentage < 100 or percentage == 50:
        raise UnitError(f"expected a quantile other than the median, such as '{_EXAMPLE[unit].split(',')[0]}', found {item.strip()[:60]!r}")
    value = parse_quantity(found.group(2), units, _EXAMPLE[unit].split(",")[0].split(" ", 1)[1])
    if value <= 0:
        raise UnitError(f"quantiles must be more than 0, found {item.strip()!r}")
    return percentage, value


def _writer(unit: str) -> Callable[[Pairs], str]:
    return lambda pairs: ", ".join(f"p{percentage:g} {value!r} {unit}".strip() for percentage, value in pairs)


def _quantiles(units: Mapping[str, float], unit: str) -> Any:
    schema = {"type": "string", "examples": [_EXAMPLE[unit]], "description": f"quantiles beside the median, such as {_EXAMPLE[unit]}"}
    return Annotated[Pairs, BeforeValidator(_reader(units, unit)), PlainSerializer(_writer(unit)), WithJsonSchema(schema)]


LatencyQuantiles = _quantiles(TIME, "s")
RateQuantiles = _quantiles(DATA_RATE, "B/s")
FactorQuantiles = _quantiles({"": 1.0}, "")


def log_normal(z: float, sigma: float, least: float = 0.0, most: float = math.inf) -> float:
    """The factor of a log-normal with median 1, truncated to [least, most], at the normal score z."""
    if (least > 0.0 or most < math.inf) and sigma > 0.0:
        below = NORMAL.cdf(math.log(least) / sigma) if least > 0.0 else 0.0
        up_to = NORMAL.cdf(math.log(most) / sigma) if most < math.inf else 1.0
        rank = below + NORMAL.cdf(z) * (up_to - below)
        z = NORMAL.inv_cdf(min(max(rank, 1e-15), 1.0 - 1e-15))
        return min(max(math.exp(sigma * z), least), most)
    return math.exp(sigma * z)


def from_quantiles(z: float, points: Pairs) -> float:
    """The factor at the normal score z of what has median 1 and these quantiles, given as (percentage, factor)."""
    scores, logarithms = _scores(points)
    if len(scores) == 1:
        return 1.0
    place = min(max(bisect_left(scores, z), 1), len(scores) - 1)
    slope = (logarithms[place] - logarithms[place - 1]) / (scores[place] - scores[place - 1])
    return math.exp(logarithms[place] + slope * (z - scores[place]))


@cache
def _scores(points: Pairs) -> tuple[list[float], list[float]]:
    known = sorted([(NORMAL.inv_cdf(percentage / 100), math.log(factor)) for percentage, factor in points] + [(0.0, 0.0)])
    return [score for score, _ in known], [logarithm for _, logarithm in known]


def truncated_normal(z: float, deviation: float) -> float:
    """The factor of a normal around 1, truncated to [0.05, 1.95], whose standard deviation is `deviation` after that, at the score z."""
    parent = _parent(deviation)
    below = NORMAL.cdf(-WIDEST / parent)
    return 1.0 + parent * NORMAL.inv_cdf(below + NORMAL.cdf(z) * (1.0 - 2.0 * below))


@cache
def _parent(deviation: float) -> float:
    """The standard deviation before truncation; the one after grows with it, towards that of an even spread, 0.95 / sqrt(3)."""
    least, most = deviation, 100.0
    for _ in range(100):
        middle = (least + most) / 2
        if _after(middle) < deviation:
            least = middle
        else:
            most = middle
    return most


def _after(parent: float) -> float:
    bound = WIDEST / parent
    inside = 2.0 * NORMAL.cdf(bound) - 1.0
    return parent * math.sqrt(max(0.0, 1.0 - 2.0 * bound * NORMAL.pdf(bound) / inside))
