"""A trace as arrays, a row for every activity, for sums over millions of them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.simulation.trace import Trace

DOWNLOAD: Final = 0
TRAIN: Final = 1
UPLOAD: Final = 2
_KINDS: Final = {"download": DOWNLOAD, "train": TRAIN, "upload": UPLOAD}


@dataclass(frozen=True)
class Columns:
    """What devices did, in the order in which it began; each array (activities,). `arrival` is nan where nothing arrived."""

    device: NDArray[np.int64]
    kind: NDArray[np.int8]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    arrival: NDArray[np.float64]
    bytes: NDArray[np.int64]


def trace_columns(trace: Trace) -> Columns:
    """The activities of a trace of transfers and training."""
    activities = trace.activities
    return Columns(
        device=np.array([activity.device for activity in activities], dtype=np.int64),
        kind=np.array([_KINDS[activity.kind] for activity in activities], dtype=np.int8),
        start=np.array([activity.start for activity in activities], dtype=np.float64),
        end=np.array([activity.end for activity in activities], dtype=np.float64),
        arrival=np.array([np.nan if activity.arrival is None else activity.arrival for activity in activities], dtype=np.float64),
        bytes=np.array([activity.bytes for activity in activities], dtype=np.int64),
    )
