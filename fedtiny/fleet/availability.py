"""Availability: when the devices of a group are there, and what becomes of what they do when they leave.

| kind | a device is online |
|---|---|
| always | always |
| duty_cycle | for `on`, then not for `off`, and so on; the run begins `phase` into that, which is drawn for each device if left out |
| markov | for exponential times with the mean `mean_on`, then not for exponential times with the mean `mean_off` |
| sessions | for sessions, then not for gaps, whose lengths are drawn; log-normal, or by quantiles |
| trace | as a file says of a device that was observed; see availability_trace.py |

All but `always` are pure functions of the seed, the group and the index of the device. Random ones are stationary: the run begins at a
moment that means nothing to the devices, so the share of those online is mean on / (mean on + mean off) from the beginning.

Without lengths, `sessions` are those of phones in the FedScale trace, which says when a phone is charging (Lai et al., ICML 2022; data of
Yang et al., WWW 2021): of the 100 phones that FLOAT (Khan et al., EuroSys 2024) publishes with its code, quantiles of 6,296 sessions and
5,619 gaps. How these 100 were chosen is not said, and they are online more than most: the subset is biased. The longest lengths are not
published; they are chosen so that the means are the published ones, 7,035 s and 2,444 s, and so the share of time online 0.74 (published:
0.75). The log-normal fitted to the gaps (mean 3.69 and standard deviation 3.36 of ln) has a median of 40 s where the data have 15 s, so
quantiles are taken.
"""

from abc import abstractmethod
from typing import Annotated, Final, Literal, final

import numpy as np
from pydantic import Field

from fedtiny.fleet.availability_trace import TraceFormat, read_patterns
from fedtiny.fleet.lengths import AnyLengths, Exponential, quantiles
from fedtiny.fleet.random_table import RandomTable
from fedtiny.fleet.timetable import Pattern, Renewals, Repeated, Timetable
from fedtiny.parts import Part
from fedtiny.randomness import Streams
from fedtiny.units import PositiveSeconds, Seconds

_SESSIONS: Final = quantiles(shortest=1, p5=8, p25=32, p50=345, p75=2701, p95=30336, longest=195154)
_GAPS: Final = quantiles(shortest=0.5, p5=1, p25=2, p50=15, p75=974, p95=11118, longest=66716)


@final
class Always(Part):
    """Devices that never leave."""

    kind: Literal["always"] = "always"


class Leaving(Part):
    """Devices that come and leave."""

    on_leave: Literal["pause", "fail"] = "pause"
    """What becomes of what a device does when it leaves: it goes on when the device is back, or ends with an error in place of a reply."""
    resume_transfers: bool = True
    """Whether a paused transfer goes on where it was, or begins again."""
    noticed_after: Seconds = 0.0
    """How long the server takes a device that has left for one that is there, and waits before it gives up what has failed."""

    @abstractmethod
    def timetable(self, streams: Streams, group: int, count: int) -> Timetable:
        """When the devices of the group at this position, of so many, are online."""


@final
class DutyCycle(Leaving):
    """Devices that are there for some time, then away for some time, and so on."""

    kind: Literal["duty_cycle"] = "duty_cycle"
    on: PositiveSeconds
    """How long a device is online."""
    off: PositiveSeconds
    """How long it is then offline."""
    phase: Seconds | None = None
    """How far into the cycle all devices are when the run begins; left out: drawn for each device."""

    def timetable(self, streams: Streams, group: int, count: int) -> Timetable:
        """See `Leaving.timetable`."""
        devices, cycle = np.arange(count, dtype=np.int64), self.on + self.off
        if self.phase is None:
            drawn, _ = _table(streams, group).uniforms(devices, np.zeros_like(devices))
            ahead = drawn * cycle
        else:
            ahead = np.full(count, self.phase % cycle)
        return Repeated([Pattern(True, cycle, np.array([self.on, cycle]))], np.zeros(count, np.int64), ahead)


@final
class Markov(Leaving):
    """Devices that come and leave at any moment alike, whatever was before."""

    kind: Literal["markov"] = "markov"
    mean_on: PositiveSeconds
    """How long a device is online in the mean."""
    mean_off: PositiveSeconds
    """How long it is offline in the mean."""

    def timetable(self, streams: Streams, group: int, count: int) -> Timetable:
        """See `Leaving.timetable`."""
        return Renewals(Exponential(self.mean_on), Exponential(self.mean_off), _table(streams, group))


@final
class Sessions(Leaving):
    """Devices whose sessions and gaps have lengths with heavy tails; left out: phones on their chargers."""

    kind: Literal["sessions"] = "sessions"
    session: AnyLengths = _SESSIONS
    """How long a device is online."""
    gap: AnyLengths = _GAPS
    """How long it is then offline."""
    merge_gaps: Seconds = 0.0
    """Gaps that are shorter than this do not count: many are flickers of a second or two."""

    def timetable(self, streams: Streams, group: int, count: int) -> Timetable:
        """See `Leaving.timetable`."""
        return Renewals(self.session, self.gap, _table(streams, group), self.merge_gaps)


@final
class Trace(Leaving):
    """Devices that do what a file says of devices that were observed, again and again; each takes one of them."""

    kind: Literal["trace"] = "trace"
    path: str
    """The file; a relative path counts from the scenario's file."""
    format: TraceFormat = "fedtiny"
    """How it is written: FedTiny's own .json or .csv, FedScale's dictionary (as a pickle, which is never executed, or .json), or FLASH's
    events (.json)."""
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """The file's SHA-256; where it is given, another file is refused."""
    take: Literal["drawn", "in_order"] = "drawn"
    """Which of the observed devices a device follows: one that is drawn, or the one at its own place, and from the first again."""
    begin: Seconds = 0.0
    """The moment of the trace at which the run begins."""
    merge_gaps: Seconds = 0.0
    """Gaps that are shorter than this do not count: many are flickers of a second or two."""

    def timetable(self, streams: Streams, group: int, count: int) -> Timetable:
        """See `Leaving.timetable`. Raises AvailabilityError where the file cannot be read or is another one."""
        patterns = read_patterns(self.path, self.format, self.merge_gaps, self.sha256)
        devices = np.arange(count, dtype=np.int64)
        if self.take == "drawn":
            drawn, _ = _table(streams, group).uniforms(devices, np.zeros_like(devices))
            taken = (drawn * len(patterns)).astype(np.int64)
        else:
            taken = devices % len(patterns)
        lengths = np.array([pattern.length for pattern in patterns])[taken]
        return Repeated(patterns, taken, np.remainder(self.begin, lengths))


AnyAvailability = Annotated[Always | DutyCycle | Markov | Sessions | Trace, Field(discriminator="kind")]

ALWAYS: Final = Always()


def _table(streams: Streams, group: int) -> RandomTable:
    return RandomTable(streams, "group", group, "availability")
