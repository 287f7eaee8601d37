"""Attendance: whose replies went into which version of the global model, and who was asked and missing.

A strategy works in rounds, or it does not. In rounds, a reply is for the version of its own round, and who was asked for it and did
not contribute by then is a failure. Otherwise a message's round is one more than the version it brings, and its reply goes into the
next version that is made after it came, whatever its round; a failure is a message that was answered by an error, or too late
(`most_staleness`).
"""

from dataclasses import dataclass

from fedtiny.simulation.trace import Trace


@dataclass(frozen=True)
class Participation:
    """How many of the devices asked in a round contributed arrays to it in time, and how many did not."""

    participants: int
    failures: int


class Attendance:
    """Who takes part in a run, version by version; `most_staleness` is None where the strategy works in rounds."""

    def __init__(self, trace: Trace, most_staleness: float | None = None) -> None:
        self._trace, self._most = trace, most_staleness
        self._closed = -1
        self._asked: dict[int, set[int]] = {}
        self._contributed: dict[int, list[tuple[int, int]]] = {}
        """By version: (device, round) of every reply that went into it."""
        self._failures = 0

    def ask(self, device: int, number: int) -> None:
        """A device is asked for a round."""
        if self._most is None:
            self._asked.setdefault(number, set()).add(device)

    def in_time(self, number: int) -> bool:
        """Whether a reply of this round that comes now is of use to a version that is not made yet."""
        return number > self._closed - (self._most or 0.0)

    def take(self, device: int, number: int, *, arrays: bool) -> None:
        """The server takes a device's reply of a round, with arrays or without."""
        if arrays and self.in_time(number):
            self._contributed.setdefault(max(number, self._closed + 1), []).append((device, number))
        else:
            self.fail()

    def fail(self) -> None:
        """The server takes an error in place of a reply."""
        self._failures += 1

    def close(self, version: int) -> tuple[int, int]:
        """The version is made: how many devices' replies went into it, and how many failed; both are then forgotten."""
        self._closed = version
        contributed, asked = self._contributed.pop(version, []), self._asked.pop(version, set())
        came = {device for device, _ in contributed}
        if self._most is None:
            return len(came), len(asked - came)
        for device, number in contributed:
            self._trace.contributions.append((device, number, version))
        failures, self._failures = self._failures, 0
        return len(came), failures
