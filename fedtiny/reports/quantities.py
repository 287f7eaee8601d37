"""Quantities for people: one unit that suits the number, three digits, a space that does not break.

Figures convert when they draw: a Scale says by what to divide the base unit and how the result is called.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NONE: Final = "–"
_SPACE: Final = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Scale:
    """A unit: `factor` base units make one of it."""

    factor: float
    unit: str

    def __call__(self, value: float) -> float:
        """The value, given in the base unit, in this one."""
        return value / self.factor


_TIMES: Final = (Scale(1e-6, "µs"), Scale(1e-3, "ms"), Scale(1.0, "s"), Scale(60.0, "min"), Scale(3600.0, "h"), Scale(86400.0, "d"))
_SIZES: Final = (Scale(1.0, "B"), Scale(1e3, "kB"), Scale(1e6, "MB"), Scale(1e9, "GB"), Scale(1e12, "TB"))
_ENERGIES: Final = (Scale(1e-6, "µJ"), Scale(1e-3, "mJ"), Scale(1.0, "J"), Scale(1e3, "kJ"), Scale(1e6, "MJ"), Scale(1e9, "GJ"))
_MASSES: Final = (Scale(1e-6, "µg"), Scale(1e-3, "mg"), Scale(1.0, "g"), Scale(1e3, "kg"), Scale(1e6, "t"), Scale(1e9, "kt"))
_LEAST_COUNT: Final = {"min": 2.0, "h": 2.0, "d": 2.0}
_EXACT: Final = 1e-9
_MINUS: Final = "\N{MINUS SIGN}"


def time_scale(largest: float) -> Scale:
    """The unit for times up to this many seconds; minutes, hours and days from two of them on."""
    return _fitting(_TIMES, largest, zero="s")


def size_scale(largest: float) -> Scale:
    """The decimal unit for sizes up to this many bytes."""
    return _fitting(_SIZES, largest, zero="B")


def energy_scale(largest: float) -> Scale:
    """The unit for energies up to this many joules."""
    return _fitting(_ENERGIES, largest, zero="J")


def _fitting(scales: Sequence[Scale], largest: float, zero: str) -> Scale:
    size = abs(largest)
    if size == 0 or not math.isfinite(size):
        return next(scale for scale in scales if scale.unit == zero)
    fitting = [scale for scale in scales if size >= scale.factor * _LEAST_COUNT.get(scale.unit, 1.0) * (1 - 1e-9)]
    return fitting[-1] if fitting else scales[0]


def seconds(value: float | None) -> str:
    """A time: "12.3 s", "4.5 min"; a dash for None."""
    return _written(value, _TIMES, "s")


def size(value: float | None) -> str:
    """A number of bytes: "412 kB"; a dash for None."""
    return _written(value, _SIZES, "B")


def joules(value: float | None) -> str:
    """An energy: "1.3 kJ"; a dash for None."""
    return _written(value, _ENERGIES, "J")


def grams(value: float | None) -> str:
    """Emissions in CO2 equivalents: "1.3 kg CO2e"; a dash for None."""
    text = _written(value, _MASSES, "g")
    return text if text == NONE else f"{text}{_SPACE}CO2e"


def _written(value: float | None, scales: Sequence[Scale], zero: str) -> str:
    if value is None or not math.isfinite(value):
        return NONE
    scale = _fitting(scales, float(f"{value:.3g}"), zero)
    return f"{number(scale(value))}{_SPACE}{scale.unit}"


def number(value: float | None) -> str:
    """A number with three digits, never in powers of ten above one: 1234 is "1,234", 12.34 "12.3", 23.04 "23.0", 3.4 "3.4"."""
    if value is None or not math.isfinite(value):
        return NONE
    short = float(f"{value:.2g}")
    if abs(float(f"{value:.3g}")) >= 1000 or math.isclose(value, round(value), rel_tol=_EXACT):
        return f"{value:,.0f}".replace("-", _MINUS)
    text = f"{short:g}" if math.isclose(value, short, rel_tol=_EXACT) else f"{value:#.3g}".rstrip(".")
    return text.replace("-", _MINUS)


def count(value: int | None) -> str:
    """A whole number with thousands separated; a dash for None."""
    return NONE if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A share as per cent with one digit: "84.7 %"; a dash for None."""
    return NONE if value is None or not math.isfinite(value) else f"{100 * value:.1f}{_SPACE}%".replace("-", _MINUS)


def ratio(value: float | None) -> str:
    """A ratio: "3.3 ×"; a dash for None."""
    return NONE if value is None or not math.isfinite(value) else f"{number(value)}{_SPACE}×"


def spread(mean: float, half_width: float | None) -> str:
    """A mean with half its interval, both with the decimals of the mean: "74.1 ± 0.7"; the mean alone for None."""
    text = number(mean)
    if half_width is None:
        return text
    half = f"{half_width:,.{len(text.partition('.')[2])}f}"
    return f"{text} ± {half if float(half.replace(',', '')) else 0}"
