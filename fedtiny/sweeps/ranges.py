"""Ranges on an axis: `FIRST..LAST:COUNT[:log|linear]` stands for COUNT values, equally far apart, or equally often as large.

| range | values |
|---|---|
| `1 ms..5 s:7:log` | 1 ms, 4.14 ms, 17.1 ms, 70.7 ms, 292 ms, 1.21 s, 5 s |
| `0 ms..100 ms:3` | 0 ms, 50 ms, 100 ms |
| `1..64:7:log` | 1, 2, 4, 8, 16, 32, 64 |

A value is what it says: it is rounded to three digits, or to as many as tell all of them apart. Between two whole numbers
values are whole.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from fedtiny.errors import ScenarioError
from fedtiny.units import COMPUTE_RATE, DATA_RATE, ENERGY, ENERGY_PER_BYTE, POWER, SIZE, TIME

_NUMBER: Final = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?"
_END: Final = rf"({_NUMBER})\s*([A-Za-zµ][A-Za-zµ/]*)?"
_RANGE: Final = re.compile(rf"\s*{_END}\s*\.\.\s*{_END}\s*:\s*(\d+)\s*(?::\s*(\w+))?\s*")
_DIMENSIONS: Final = (TIME, SIZE, DATA_RATE, COMPUTE_RATE, POWER, ENERGY, ENERGY_PER_BYTE)
_WITHOUT: Final = {"": 1.0}
_MOST_VALUES: Final = 1000
_FEWEST_DIGITS: Final = 3
_MOST_DIGITS: Final = 17


def is_range(value: Any) -> bool:
    """Whether this stands for the values of a range."""
    return isinstance(value, str) and _RANGE.fullmatch(value) is not None


def expanded(value: Any, place: str) -> list[Any]:
    """The values that a range stands for; anything else is itself. Raises ScenarioError for a range that is none."""
    found = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return [value]
    first, first_unit, last, last_unit, count, spacing = (group or "" for group in found.groups())
    units = _units(first_unit, last_unit, f"{place}: {value}")
    begin, end = float(first) * units[first_unit], float(last) * units[last_unit]
    _check(begin, end, int(count), spacing, f"{place}: {value}")
    numbers = _spaced(begin, end, int(count), logarithmic=spacing == "log")
    if re.fullmatch(r"[+-]?\d+ [+-]?\d+", f"{first} {last}") and not first_unit:
        return _whole(numbers, f"{place}: {value}")
    scales = sorted({first_unit: units[first_unit], last_unit: units[last_unit]}.items(), key=lambda scale: scale[1])
    digits = next(n for n in range(_FEWEST_DIGITS, _MOST_DIGITS + 1) if len({_rounded(one, n) for one in numbers}) == len(numbers))
    return [_written(number, scales, digits) for number in numbers]


def _units(first: str, last: str, where: str) -> Mapping[str, float]:
    for dimension in (_WITHOUT, *_DIMENSIONS):
        if first in dimension and last in dimension:
            return dimension
    raise ScenarioError(f"{where}: both ends of a range need a unit of the same kind, such as 1 ms..5 s:7:log")


def _check(begin: float, end: float, count: int, spacing: str, where: str) -> None:
    if spacing not in ("", "log", "linear"):
        raise ScenarioError(f"{where}: a range is spaced linear or log, found {spacing!r}")
    if not 2 <= count <= _MOST_VALUES or begin == end:
        raise ScenarioError(f"{where}: a range has two different ends and 2 to {_MOST_VALUES} values")
    if spacing == "log" and (begin <= 0 or end <= 0):
        raise ScenarioError(f"{where}: a logarithmic range lies above 0: name 0 beside it, such as 0 ms,1 ms..5 s:7:log")


def _spaced(begin: float, end: float, count: int, *, logarithmic: bool) -> list[float]:
    shares = [index / (count - 1) for index in range(1, count - 1)]
    between = [begin * (end / begin) ** share if logarithmic else begin + (end - begin) * share for share in shares]
    return [begin, *between, end]


def _whole(numbers: list[float], where: str) -> list[int]:
    found = [round(number) for number in numbers]
    if len(set(found)) < len(found):
        raise ScenarioError(f"{where}: there are not so many whole numbers in this range: ask for fewer, or write an end with a point")
    return found


def _rounded(number: float, digits: int) -> float:
    return float(f"{number:.{digits}g}")


def _written(number: float, scales: list[tuple[str, float]], digits: int) -> float | str:
    """In the largest of the units in which it is at least one."""
    unit, factor = next((scale for scale in reversed(scales) if abs(number) >= scale[1] * (1 - 1e-9)), scales[0])
    value = _rounded(number / factor, digits)
    return f"{value:.15g} {unit}" if unit else value
