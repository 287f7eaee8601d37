"""What a round waits for: the device whose reply the server had last, and what kept that device.

The critical device of a round is the one whose reply ended the server's wait. The span from the version before to the round's own
version is divided among causes by what that device did in it, in this order of precedence where things overlap:

    compute    its processor works
    upload     its uplink is occupied          download   its downlink is occupied
    latency    a message of its own is between the ends of the link, or was lost and will be sent again
    stall      none of these: it waits for the server, which waits for other devices

A device that computes while messages travel is thus bound by its processor: they cost nothing. Where no reply ended the wait but
the strategy's timeout did, the whole span is `timeout`.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.trace import DOWNLOAD, TRAIN, UPLOAD, Columns
from fedtiny.timing_run import TimedRun

Cause = Literal["compute", "upload", "download", "latency", "stall", "timeout"]
CAUSES: Final[tuple[Cause, ...]] = ("compute", "upload", "download", "latency", "stall", "timeout")

Span = tuple[float, float]


def round_causes(run: TimedRun, columns: Columns) -> list[tuple[int | None, dict[Cause, float]]]:
    """For every round: its critical device (None: a timeout) and seconds by cause, which sum to the round's span."""
    critical = {version.last_device for version in run.versions[1:]} - {None}
    of_device = _rows_by_device(columns, sorted(number for number in critical if number is not None))
    result: list[tuple[int | None, dict[Cause, float]]] = []
    for before, version in zip(run.versions, run.versions[1:], strict=False):
        span = (before.virtual_time, version.virtual_time)
        if version.last_device is None:
            result.append((None, {"timeout": span[1] - span[0]}))
        else:
            round_trip = 2 * run.fleet.traits(version.last_device).network.latency
            result.append((version.last_device, shared_out(columns, of_device[version.last_device], span, round_trip)))
    return result


def _rows_by_device(columns: Columns, devices: Sequence[int]) -> dict[int, NDArray[np.int64]]:
    """The rows of each of these devices, found in one pass over all."""
    wanted = np.asarray(devices, dtype=np.int64)
    rows = np.flatnonzero(np.isin(columns.device, wanted))
    ordered = rows[np.argsort(columns.device[rows], kind="stable")]
    cuts = np.searchsorted(columns.device[ordered], wanted)
    return dict(zip(devices, np.split(ordered, cuts[1:]) if len(devices) else [], strict=True))


def shared_out(columns: Columns, rows: NDArray[np.int64], span: Span, round_trip: float) -> dict[Cause, float]:
    """Seconds of a span by cause, from one device's rows; what it lost is sent again a round trip (s) later."""
    lost = np.isnan(columns.arrival[rows])
    until = np.where(lost, columns.end[rows] + round_trip, columns.arrival[rows])
    until = np.where(columns.kind[rows] == TRAIN, columns.end[rows], until)
    inside = (columns.start[rows] < span[1]) & (until > span[0])
    rows, until = rows[inside], until[inside]
    kinds = columns.kind[rows]
    transfers = kinds != TRAIN
    left, seconds = [span], {}
    for cause, starts, ends in (
        ("compute", columns.start[rows[kinds == TRAIN]], columns.end[rows[kinds == TRAIN]]),
        ("upload", columns.start[rows[kinds == UPLOAD]], columns.end[rows[kinds == UPLOAD]]),
        ("download", columns.start[rows[kinds == DOWNLOAD]], columns.end[rows[kinds == DOWNLOAD]]),
        ("latency", columns.end[rows[transfers]], until[transfers]),
    ):
        after = _uncovered(left, zip(starts.tolist(), ends.tolist(), strict=True))
        seconds[cause] = _length(left) - _length(after)
        left = after
    return {**seconds, "stall": _length(left)}  # type: ignore[dict-item]


def _uncovered(spans: list[Span], taken: Iterable[Span]) -> list[Span]:
    """What of these spans is not taken."""
    for start, end in taken:
        cut = [part for first, last in spans for part in ((first, min(last, start)), (max(first, end), last))]
        spans = [(first, last) for first, last in cut if last > first]
    return spans


def _length(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)
