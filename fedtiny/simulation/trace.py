"""The trace: what every device did, when, and how it ended.

The simulation records; it does not measure. Time to accuracy, idle shares and joules are computed later from these
activities, so a new metric needs no new run.

An activity of a link spans its occupancy, ``bytes / bandwidth``; ``arrival`` is when the message is there, latency
included. An activity of the processor spans the work. Activities of one resource never overlap.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["download", "train", "upload", "evaluate", "stall", "idle", "offline"]
Outcome = Literal["done", "cancelled", "lost", "late", "failed"]
Interval = tuple[float, float]

PROCESSOR_KINDS = ("train", "evaluate")


@dataclass(slots=True)
class Activity:
    """One thing a device did: seconds of virtual time, bytes, multiply-accumulates.

    `end` is when it is planned to end while it goes on; `arrival` is None where nothing arrives (work, or a message that was lost or cut).
    """

    device: int
    round: int
    kind: Kind
    start: float
    end: float
    arrival: float | None = None
    bytes: int = 0
    payload_bytes: int = 0
    macs: float = 0.0
    outcome: Outcome = "done"


@dataclass
class Trace:
    """All activities of a run in the order in which they began, and who was asked for what, when."""

    activities: list[Activity] = field(default_factory=list)
    asked: list[tuple[int, int, float]] = field(default_factory=list)
    """(device, round, time) of every message the server pushed."""
    bytes_up: int = 0
    """Bytes of the uploads that have ended so far."""
    bytes_down: int = 0
    """Bytes of the downloads that have ended so far."""
    _open: dict[int, Activity] = field(default_factory=dict)

    def begin(self, activity: Activity) -> Activity:
        """Records an activity that starts now; `finish` or `cut` ends it."""
        self.activities.append(activity)
        self._open[id(activity)] = activity
        return activity

    def finish(self, activity: Activity, end: float, outcome: Outcome = "done") -> None:
        """Ends an activity."""
        activity.end, activity.outcome = end, outcome
        del self._open[id(activity)]
        self.bytes_up += activity.bytes if activity.kind == "upload" else 0
        self.bytes_down += activity.bytes if activity.kind == "download" else 0

    def cut(self, now: float) -> None:
        """The run ends: what still goes on is cancelled now, pro rata, and messages under way never arrive."""
        for activity in self._open.values():
            planned = activity.end
            share = (now - activity.start) / (planned - activity.start) if planned > now else 1.0
            activity.end, activity.outcome, activity.macs = now, "cancelled", activity.macs * share
            activity.bytes, activity.payload_bytes = int(activity.bytes * share), int(activity.payload_bytes * share)
        self._open.clear()
        for activity in self.activities:
            if activity.kind in ("download", "upload") and activity.outcome == "done" and activity.arrival is None:
                activity.outcome = "cancelled"


def merged(intervals: Iterable[Interval]) -> list[Interval]:
    """The union of intervals, as disjoint intervals in ascending order; empty ones vanish."""
    result: list[Interval] = []
    for start, end in sorted(interval for interval in intervals if interval[1] > interval[0]):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return result


def without(whole: Sequence[Interval], taken: Sequence[Interval]) -> list[Interval]:
    """The parts of `whole` that `taken` leaves free, in one pass; both disjoint and ascending."""
    result: list[Interval] = []
    position = 0
    for begin, end in whole:
        while position and taken[position - 1][1] > begin:
            position -= 1
        while position < len(taken) and taken[position][1] <= begin:
            position += 1
        start, look = begin, position
        while look < len(taken) and taken[look][0] < end:
            if taken[look][0] > start:
                result.append((start, taken[look][0]))
            start = max(start, taken[look][1])
            look += 1
        position = look
        if start < end:
            result.append((start, end))
    return result


def waiting(trace: Trace, versions: Mapping[int, float], devices: Iterable[int], end: float) -> list[Activity]:
    """Stalls and idle times of the processors, from 0 to `end` (s), for every device given.

    A device is enrolled from the first message of a round to it until that round's version of the model exists
    (`versions`: round -> time), or the run ends. Its processor stalls while it is enrolled and free, and idles while it
    is not enrolled.
    """
    enrolled: dict[int, dict[int, float]] = {}
    for device, round_number, time in trace.asked:
        enrolled.setdefault(device, {}).setdefault(round_number, time)
    busy: dict[int, list[Interval]] = {}
    rounds: dict[int, list[tuple[float, int]]] = {}
    for activity in trace.activities:
        if activity.kind in PROCESSOR_KINDS:
            busy.setdefault(activity.device, []).append((activity.start, activity.end))
            rounds.setdefault(activity.device, []).append((activity.start, activity.round))
    result: list[Activity] = []
    for device in devices:
        asked = enrolled.get(device, {})
        in_cohort = merged((start, min(versions.get(number, end), end)) for number, start in asked.items())
        work = merged(busy.get(device, []))
        work_rounds = rounds.get(device) or [(0.0, min(asked, default=0))]
        result += _waits(device, "stall", without(in_cohort, work), work_rounds)
        result += _waits(device, "idle", without(without([(0.0, end)], in_cohort), work), work_rounds)
    return result


def _waits(device: int, kind: Kind, intervals: Sequence[Interval], work: Sequence[tuple[float, int]]) -> list[Activity]:
    """One activity per interval; its round is that of the work, as (start, round), that comes next, or of the last work."""
    result: list[Activity] = []
    position = 0
    for start, end in intervals:
        while position < len(work) and work[position][0] < end:
            position += 1
        number = work[min(position, len(work) - 1)][1]
        result.append(Activity(device=device, round=number, kind=kind, start=start, end=end))
    return result
