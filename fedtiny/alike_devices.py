"""Devices that are alike in what they train and whether it fits, and the numbers of those that take part."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

from fedtiny.participation import Participant


@dataclass(frozen=True)
class DeviceClass:
    """So many devices of the fleet that are alike, and one of them that stands for all."""

    first: int
    """The number of the first; of groups the others follow it, of a population they are anywhere behind."""
    count: int
    examples: int
    """Training examples that each of them holds; of a population, that the first does."""
    batch_size: int
    one: Participant
    """The first of them; its data are as many examples as it holds, but not which."""

    @property
    def per_epoch(self) -> int:
        """How many batches one pass over a device's data takes."""
        return self.one.batches.per_epoch


class Enrolled(Sequence[int]):
    """The running numbers of the devices that take part, ascending, without a list of them."""

    def __init__(self, classes: Iterable[DeviceClass]) -> None:
        self._ranges: list[range] = []
        self._starts: list[int] = []
        self._length = 0
        for item in classes:
            if self._ranges and self._ranges[-1].stop == item.first:
                self._ranges[-1] = range(self._ranges[-1].start, item.first + item.count)
            else:
                self._ranges.append(range(item.first, item.first + item.count))
                self._starts.append(self._length)
            self._length += item.count

    def __len__(self) -> int:
        """How many devices take part."""
        return self._length

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> list[int]: ...

    def __getitem__(self, place: int | slice) -> int | list[int]:
        """The number of the device at this place; of a slice, a list."""
        if isinstance(place, slice):
            return [self[index] for index in range(*place.indices(self._length))]
        if not 0 <= place < self._length:
            raise IndexError(f"place {place} of {self._length} devices that take part")
        if len(self._ranges) == 1:
            return self._ranges[0][place]
        position = bisect_right(self._starts, place) - 1
        return self._ranges[position][place - self._starts[position]]

    def __iter__(self) -> Iterator[int]:
        """All of them."""
        for numbers in self._ranges:
            yield from numbers
