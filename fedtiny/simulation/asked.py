"""Who was asked for what, whose replies went into which version, and who left: short rows that a trace keeps beside its activities."""

from array import array
from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray


class Asked:
    """(device, round, time) of messages, such as all that the server pushed, in the order of time."""

    __slots__ = ("device", "round", "time")

    def __init__(self, rows: Iterable[tuple[int, int, float]] = ()) -> None:
        self.device, self.round, self.time = array("i"), array("i"), array("d")
        for row in rows:
            self.append(row)

    def append(self, row: tuple[int, int, float]) -> None:
        """Notes a device, a round and a time (s)."""
        device, number, time = row
        self.device.append(device)
        self.round.append(number)
        self.time.append(time)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
        """Devices, rounds and times (s), each (messages,), as views: no more is noted while they are in use."""
        return view(self.device, np.int32), view(self.round, np.int32), view(self.time, np.float64)

    def __len__(self) -> int:
        return len(self.time)

    def __iter__(self) -> Iterator[tuple[int, int, float]]:
        return zip(self.device, self.round, self.time, strict=True)


class Contributions:
    """(device, round, version) of every reply that went into a version of the model, of strategies that do not work in rounds.

    A message's round is one more than the version that it brings, so a reply's staleness is its version less its round.
    """

    __slots__ = ("device", "round", "version")

    def __init__(self) -> None:
        self.device, self.round, self.version = array("i"), array("i"), array("i")

    def append(self, row: tuple[int, int, int]) -> None:
        """Notes that a device's reply of a round went into a version."""
        device, number, version = row
        self.device.append(device)
        self.round.append(number)
        self.version.append(version)

    def arrays(self) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Devices, rounds and versions, each (replies,), as views: no more is noted while they are in use."""
        return view(self.device, np.int32), view(self.round, np.int32), view(self.version, np.int32)

    def __len__(self) -> int:
        return len(self.version)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.device, self.round, self.version, strict=True)


class Gathered:
    """(start, end) of every time (s) in which the server waited for devices to be there."""

    __slots__ = ("end", "start")

    def __init__(self) -> None:
        self.start, self.end = array("d"), array("d")

    def append(self, row: tuple[float, float]) -> None:
        """Notes that it waited from one moment to another."""
        self.start.append(row[0])
        self.end.append(row[1])

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Starts and ends (s), each (times,), ascending, as views."""
        return view(self.start, np.float64), view(self.end, np.float64)


def view(values: "array[Any]", dtype: Any) -> NDArray[Any]:
    """An array's values, sharing its memory."""
    return cast(NDArray[Any], np.frombuffer(values, dtype=dtype)) if len(values) else np.zeros(0, dtype)
