"""Random numbers in a table: those of any row and column at once, without those before them.

A stream gives its numbers one after another. Where a million devices each have a sequence of their own, of which some need the next
number now, numbers are functions of their place instead:

    (u, v) of (row, column) = Philox4x32-10(counter (row, column, 0, 0), key)

two independent uniform numbers in (0, 1) with 53 bits each. Rows and columns are whole numbers below 2**32, the key is that of a named
stream (randomness.py).

Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3. SC 2011 (Philox: section 4.2 and table 2; the constants and the
known answers in tests/fleet/test_random_table.py are those of the authors' Random123 library).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.randomness import Streams

_MULTIPLIERS: Final = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
_WEYL: Final = (0x9E3779B9, 0xBB67AE85)
_ROUNDS: Final = 10
_LOW: Final = np.uint64(0xFFFFFFFF)
_HALF: Final = np.uint64(32)
_SPARE_BITS: Final = np.uint64(11)
_AT_ONCE: Final = 1 << 15

Words = NDArray[np.uint64]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class RandomTable:
    """The table of one named stream."""

    __slots__ = ("_key",)

    def __init__(self, streams: Streams, *path: str | int) -> None:
        digest = streams.digest(*path)
        self._key = (int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big"))

    def uniforms(self, rows: Integers, columns: Integers) -> tuple[Floats, Floats]:
        """Two uniform numbers in (0, 1) for every place given, each array (places,)."""
        first, second = np.empty(len(rows)), np.empty(len(rows))
        for start in range(0, len(rows), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            row, column = rows[some].astype(np.uint64), columns[some].astype(np.uint64)
            words = philox((row, column, np.zeros_like(row), np.zeros_like(row)), self._key)
            first[some], second[some] = _uniform(words[0], words[1]), _uniform(words[2], words[3])
        return first, second


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Philox4x32-10: four random words of 32 bits for each counter of four words, all arrays (places,)."""
    one, two, three, four = counter
    low, high = key
    for _ in range(_ROUNDS):
        left, right = one * _MULTIPLIERS[0], three * _MULTIPLIERS[1]
        one, two, three, four = (
            (right >> _HALF) ^ two ^ np.uint64(low),
            right & _LOW,
            (left >> _HALF) ^ four ^ np.uint64(high),
            left & _LOW,
        )
        low, high = (low + _WEYL[0]) & 0xFFFFFFFF, (high + _WEYL[1]) & 0xFFFFFFFF
    return one, two, three, four


def _uniform(high: Words, low: Words) -> Floats:
    return (((high << _HALF | low) >> _SPARE_BITS).astype(np.float64) + 0.5) * 2.0**-53
