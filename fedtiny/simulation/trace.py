"""The trace: what every device did, when, and how it ended.

The simulation records; it does not measure. Time to accuracy, idle shares and joules are computed later from these
activities, so a new metric needs no new run.

An activity of a link spans its occupancy, ``bytes / bandwidth``; ``arrival`` is when the message is there, latency
included. An activity of the processor spans the work. Activities of one resource never overlap.

A run of a million messages has millions of activities, so they are kept as columns of 50 bytes a row and not as objects:
whoever asks for one gets an `Activity` made for him.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import Final, Literal, overload

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.asked import Asked, Contributions, Gathered, view
from fedtiny.simulation.battery_account import Account

Kind = Literal["download", "train", "upload", "evaluate", "stall", "idle", "offline", "paging", "promotion", "start_up", "tail"]
Outcome = Literal["done", "cancelled", "lost", "late", "failed", "dropped", "interrupted", "repeated", "aborted"]

KINDS: Final[tuple[Kind, ...]] = (
    "download",
    "evaluate",
    "idle",
    "offline",
    "paging",
    "promotion",
    "stall",
    "start_up",
    "tail",
    "train",
    "upload",
)
"""What the codes of kinds stand for: alphabetical, so that codes sort as names do."""
DOWNLOAD, EVALUATE, IDLE, OFFLINE, PAGING, PROMOTION, STALL, START_UP, TAIL, TRAIN, UPLOAD = range(len(KINDS))
KIND_CODES: Final[dict[Kind, int]] = {kind: code for code, kind in enumerate(KINDS)}

WORK: Final = (EVALUATE, PAGING, START_UP, TRAIN)
"""What keeps a processor busy."""

OUTCOMES: Final[tuple[Outcome, ...]] = ("done", "cancelled", "lost", "late", "failed", "dropped", "interrupted", "repeated", "aborted")
"""What the codes of outcomes stand for. The device left: and what it did goes on when it is back (interrupted), begins again from its
beginning (repeated), or was given up (aborted)."""
DONE, CANCELLED, LOST, LATE, FAILED, DROPPED, INTERRUPTED, REPEATED, ABORTED = range(len(OUTCOMES))
UNDER_WAY: Final = len(OUTCOMES)
"""The outcome of an activity that has not ended."""


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


@dataclass(frozen=True)
class Columns:
    """Activities as arrays, a row for each, in the order in which they began; each array (activities,).

    `kind` and `outcome` are places in KINDS and OUTCOMES; `arrival` is nan where nothing arrives; `amount` is the bytes of a
    transfer and the multiply-accumulates of work. They are views: a trace takes no more while they are in use.
    """

    device: NDArray[np.int32]
    round: NDArray[np.int32]
    kind: NDArray[np.int8]
    outcome: NDArray[np.int8]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    arrival: NDArray[np.float64]
    amount: NDArray[np.float64]
    payload_bytes: NDArray[np.int64]


class Trace:
    """All activities of a run in the order in which they began, and who was asked for what, when."""

    __slots__ = (
        "_amount",
        "_arrival",
        "_device",
        "_end",
        "_kind",
        "_outcome",
        "_payload",
        "_round",
        "_sent",
        "_start",
        "asked",
        "batteries",
        "bytes_down",
        "bytes_up",
        "charges",
        "contributions",
        "gathered",
        "in_rounds",
        "left",
    )

    def __init__(self, asked: Iterable[tuple[int, int, float]] = ()) -> None:
        self.asked = Asked(asked)
        self.contributions = Contributions()
        self.gathered = Gathered()
        self.left = Asked()
        """(device, round, time) of every message that was given up because its device left."""
        self.batteries: dict[int, Account] = {}
        """What became of the batteries of devices, by their numbers; written when the run has ended."""
        self.charges: list[dict[str, float]] = []
        """The charges of groups with batteries whenever there was a new version of the model: round, virtual_time and group; mean, least
        and most as shares of the capacity."""
        self.in_rounds = True
        """Whether the strategy works in rounds: a device is then enrolled until the version of its round exists, and otherwise until
        its reply has come."""
        self.bytes_up = 0
        """Bytes of the uploads that have ended so far."""
        self.bytes_down = 0
        """Bytes of the downloads that have ended so far."""
        self._sent: dict[int, Callable[[], int]] = {}
        self._device, self._round, self._payload = array("i"), array("i"), array("q")
        self._kind, self._outcome = array("b"), array("b")
        self._start, self._end, self._arrival, self._amount = array("d"), array("d"), array("d"), array("d")

    def begin(self, device: int, number: int, kind: int, start: float, end: float, amount: float = 0.0, payload: int = 0) -> int:
        """Records an activity that starts now and is planned to end at `end`, and gives its row; `finish` or `cut` ends it.

        `number` is its round, `amount` and `payload` as in `Columns`.
        """
        self._device.append(device)
        self._round.append(number)
        self._kind.append(kind)
        self._outcome.append(UNDER_WAY)
        self._start.append(start)
        self._end.append(end)
        self._arrival.append(nan)
        self._amount.append(amount)
        self._payload.append(payload)
        return len(self._payload) - 1

    def finish(self, row: int, outcome: int) -> None:
        """The activity ends as planned."""
        self._outcome[row] = outcome
        kind = self._kind[row]
        if kind == DOWNLOAD:
            self.bytes_down += int(self._amount[row])
        elif kind == UPLOAD:
            self.bytes_up += int(self._amount[row])

    def watch(self, row: int, sent: Callable[[], int]) -> None:
        """Nobody knows when a transfer that has begun will end; `sent` says how many of its bytes were sent until now."""
        self._sent[row] = sent

    def ends(self, row: int, now: float) -> None:
        """A watched transfer ends now (s)."""
        self._end[row] = now
        del self._sent[row]

    def interrupt(self, row: int, now: float, amount: float, outcome: int) -> None:
        """An activity ends before its time (s), with so many bytes or multiply-accumulates done of what it began with."""
        planned = self._amount[row]
        share = amount / planned if planned else 1.0
        self._end[row], self._amount[row], self._payload[row] = now, amount, int(self._payload[row] * share)
        self._sent.pop(row, None)
        self.finish(row, outcome)

    def arrive(self, row: int, now: float) -> None:
        """The message of a transfer that has ended is there (s)."""
        self._arrival[row] = now

    def conclude(self, row: int, outcome: int) -> None:
        """What became of an activity that has ended."""
        self._outcome[row] = outcome

    def record(self, activity: Activity) -> None:
        """Adds an activity that has ended."""
        work = activity.kind not in ("download", "upload")
        amount = activity.macs if work else activity.bytes
        span = (activity.start, activity.end, amount, activity.payload_bytes)
        row = self.begin(activity.device, activity.round, KIND_CODES[activity.kind], *span)
        self.finish(row, OUTCOMES.index(activity.outcome))
        self.arrive(row, nan if activity.arrival is None else activity.arrival)

    @property
    def begun(self) -> int:
        """How many activities have begun so far."""
        return len(self._payload)

    @property
    def activities(self) -> "Activities":
        """The activities as objects, made when they are asked for."""
        return Activities(self)

    def activity(self, row: int) -> Activity:
        """One activity, as it is now."""
        kind, outcome, amount, arrival = KINDS[self._kind[row]], self._outcome[row], self._amount[row], self._arrival[row]
        transfer = kind in ("download", "upload")
        return Activity(
            device=self._device[row],
            round=self._round[row],
            kind=kind,
            start=self._start[row],
            end=self._end[row],
            arrival=None if isnan(arrival) else arrival,
            bytes=int(amount) if transfer else 0,
            payload_bytes=self._payload[row],
            macs=0.0 if transfer else amount,
            outcome="done" if outcome == UNDER_WAY else OUTCOMES[outcome],
        )

    def columns(self) -> Columns:
        """All activities as arrays that share the trace's memory."""
        return Columns(
            device=view(self._device, np.int32),
            round=view(self._round, np.int32),
            kind=view(self._kind, np.int8),
            outcome=view(self._outcome, np.int8),
            start=view(self._start, np.float64),
            end=view(self._end, np.float64),
            arrival=view(self._arrival, np.float64),
            amount=view(self._amount, np.float64),
            payload_bytes=view(self._payload, np.int64),
        )

    def cut(self, now: float) -> None:
        """The run ends: what still goes on is cancelled now, pro rata, and messages under way never arrive."""
        columns = self.columns()
        for row in np.flatnonzero(columns.outcome == UNDER_WAY).tolist():
            self._cancel(row, now)
        transfer = (columns.kind == DOWNLOAD) | (columns.kind == UPLOAD)
        columns.outcome[transfer & (columns.outcome == DONE) & np.isnan(columns.arrival)] = CANCELLED

    def _cancel(self, row: int, now: float) -> None:
        amount, transfer = self._amount[row], self._kind[row] in (DOWNLOAD, UPLOAD)
        sent = self._sent.pop(row, None)
        if sent is not None:
            done: float = sent()
        else:
            start, planned = self._start[row], self._end[row]
            done = amount * ((now - start) / (planned - start) if planned > now else 1.0)
        share = done / amount if amount else 1.0
        self._end[row], self._outcome[row] = now, CANCELLED
        self._amount[row] = int(done) if transfer else done
        self._payload[row] = int(self._payload[row] * share)


class Activities(Sequence[Activity]):
    """The activities of a trace, each made when it is asked for."""

    __slots__ = ("_trace",)

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __len__(self) -> int:
        return self._trace.begun

    @overload
    def __getitem__(self, place: int) -> Activity: ...

    @overload
    def __getitem__(self, place: slice) -> list[Activity]: ...

    def __getitem__(self, place: int | slice) -> Activity | list[Activity]:
        """The activity that began at this place; of a slice, a list."""
        rows = range(len(self))[place]
        return [self._trace.activity(row) for row in rows] if isinstance(rows, range) else self._trace.activity(rows)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Iterable) else NotImplemented

    __hash__ = None  # type: ignore[assignment]
