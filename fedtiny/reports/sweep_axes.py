"""Which axis of a sweep goes where in a figure, and in which order its values stand.

Numbers and quantities stand in ascending order, other values as they were written. Of two axes, a size in bytes goes up
and the other one across, so latency x memory always looks the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import yaml

from fedtiny import units
from fedtiny.errors import UnitError
from fedtiny.reports.description import words
from fedtiny.results.sweep import Combination, SweepResult, combinations

_TABLES: Final = (units.TIME, units.SIZE, units.DATA_RATE, units.COMPUTE_RATE, units.POWER, units.ENERGY, units.ENERGY_PER_BYTE)
_BARE_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """The axis that goes across, the one that goes up (None if there is but one), and those that need panels of their own."""

    across: str
    up: str | None
    others: tuple[str, ...]


def layout(sweep: SweepResult) -> Layout | None:
    """Where the axes of the sweep go; None if it has none."""
    numeric = [axis for axis, values in sweep.axes.items() if _dimension(values) is not None]
    ordered = [*numeric, *(axis for axis in sweep.axes if axis not in numeric)]
    if not ordered:
        return None
    first = ordered[:2]
    sizes = [axis for axis in first if _dimension(sweep.axes[axis]) == "size"]
    up = None if len(first) < 2 else (sizes[0] if len(sizes) == 1 else first[1])
    across = next(axis for axis in first if axis != up)
    return Layout(across, up, tuple(axis for axis in sweep.axes if axis not in first))


def ordered_values(sweep: SweepResult, axis: str) -> list[str]:
    """The values of an axis, ascending where they are numbers."""
    values = list(sweep.axes[axis])
    if _dimension(values) is None:
        return values
    return sorted(values, key=lambda text: numeric_value(text) or 0.0)


def numeric_value(text: str) -> float | None:
    """A number, or a quantity in its base unit; None for any other text."""
    if _BARE_NUMBER.fullmatch(text.strip()):
        return float(text)
    if text.strip() == "unlimited":
        return units.UNLIMITED
    for table in _TABLES:
        try:
            return units.parse_quantity(text, table, "")
        except UnitError:
            continue
    return None


def _dimension(values: Sequence[str]) -> str | None:
    if any(numeric_value(value) is None for value in values):
        return None
    return "size" if all(any(value.strip().endswith(unit) for unit in units.SIZE) for value in values) else "number"


def value_label(text: str) -> str:
    """An axis value as figures and tables write it: a whole part in words, anything else as it was written."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    return words(value) if isinstance(value, dict) else text


def panels(sweep: SweepResult, axes: Sequence[str]) -> list[tuple[str, list[Combination]]]:
    """The combinations parted by the values of these axes, each part with its title; one part without a title if there are no axes."""
    keys = list(sweep.axes)
    parts: dict[tuple[str, ...], list[Combination]] = {}
    for combination in combinations(sweep):
        values = dict(zip(keys, combination.values, strict=True))
        parts.setdefault(tuple(values[axis] for axis in axes), []).append(combination)
    rank = {axis: {value: place for place, value in enumerate(ordered_values(sweep, axis))} for axis in axes}
    ordered = sorted(parts, key=lambda values: [rank[axis][value] for axis, value in zip(axes, values, strict=True)])
    return [(titled(axes, values), parts[values]) for values in ordered]


def titled(axes: Sequence[str], values: Sequence[str]) -> str:
    """What stands over a panel: "device.memory 2 MB · full, 0.05"."""
    return " · ".join(named(axis, value) for axis, value in zip(axes, values, strict=True))


def named(axis: str, value: str) -> str:
    """A value with its axis: "device.memory 2 MB"; that of a zipped axis, which has several keys, alone: "full, 0.05"."""
    return value_label(value) if "," in axis else f"{axis} {value_label(value)}"
