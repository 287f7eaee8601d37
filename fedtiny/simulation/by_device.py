"""Rows of a trace by device, some devices at a time: what looks at every device takes the most where it looks at all of them at once."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.trace import Columns

_ROWS_AT_ONCE: Final = 1 << 14

Integers = NDArray[np.int64]


class RowsByDevice:
    """Rows by device, and in their order within a device."""

    def __init__(self, owners: NDArray[np.int32]) -> None:
        self._order = np.argsort(owners, kind="stable").astype(np.int32)
        self._owners = owners[self._order]

    def up_to(self, devices: Integers) -> Integers:
        """How many rows are those of each of these devices (ascending) and of all before it."""
        return np.searchsorted(self._owners, devices.astype(np.int32), "right").astype(np.int64)

    def rows(self, devices: Integers) -> NDArray[np.int32]:
        """The rows from the first of these devices (ascending) to the last, in their order."""
        first = np.searchsorted(self._owners, np.int32(devices[0]), "left")
        last = np.searchsorted(self._owners, np.int32(devices[-1]), "right")
        return np.sort(self._order[first:last])


def in_blocks(devices: Integers, rows: Integers) -> Iterator[Integers]:
    """The devices (ascending) in parts of about as many rows; `rows` are those up to each device."""
    blocks = (rows + np.arange(len(devices))) // _ROWS_AT_ONCE
    yield from (part for part in np.split(devices, np.flatnonzero(np.diff(blocks)) + 1) if len(part))


def taken(columns: Columns, rows: NDArray[np.int32]) -> Columns:
    """These rows of a trace."""
    return Columns(**{field.name: getattr(columns, field.name)[rows] for field in fields(Columns)})
