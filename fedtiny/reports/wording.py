"""Counts, lists and comparisons as sentences write them."""

from collections.abc import Sequence
from typing import Final

from fedtiny.reports.quantities import count, ratio

_SMALL_NUMBERS: Final = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_ALIKE: Final = 1.005


def plural(number_of: int, noun: str) -> str:
    """A count and its noun: "1 device", "8 devices"."""
    return f"{count(number_of)} {noun}{'' if number_of == 1 else 's'}"


def in_words(number_of: int) -> str:
    """A small count as a word, a larger one in digits."""
    return _SMALL_NUMBERS[number_of] if number_of < len(_SMALL_NUMBERS) else count(number_of)


def listed(names: Sequence[str]) -> str:
    """Names in a row: "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sooner(times: float, whom: str) -> str:
    """Something that was there `times` (> 0) times as soon as another: "3.1 × sooner than fedavg"."""
    if times < 1 / _ALIKE:
        return f"{ratio(1 / times)} later than {whom}"
    return f"{ratio(times)} sooner than {whom}" if times > _ALIKE else f"as soon as {whom}"
