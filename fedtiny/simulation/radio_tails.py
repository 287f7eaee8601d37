"""The tails of radios that sleep (fleet/radio_states.py): when a radio was connected and sent nothing.

They follow from the transfers. A radio is connected from the beginning of a transfer, waking included, until `inactivity` after the end of
the last one; what of that is no transfer is a tail.
"""

from collections.abc import Iterable

import numpy as np

from fedtiny.simulation.intervals import Interval, merged
from fedtiny.simulation.trace import DOWNLOAD, UPLOAD, Columns


def tails(transfers: Iterable[Interval], inactivity: float, end: float) -> list[Interval]:
    """The tails (s) of one radio up to `end`: after each run of its transfers, in both directions, until the next or for `inactivity`."""
    busy = merged(transfers)
    following = [start for start, _ in busy[1:]] + [end]
    spans = [(over, min(over + inactivity, start, end)) for (_, over), start in zip(busy, following, strict=False)]
    return [span for span in spans if span[1] > span[0]]


def device_tails(columns: Columns, device: int, inactivity: float, end: float) -> list[Interval]:
    """The tails (s) of one device's radio in a trace that ends at `end`; what was lost or cut kept the radio awake too."""
    rows = np.flatnonzero((columns.device == device) & ((columns.kind == DOWNLOAD) | (columns.kind == UPLOAD)))
    # a transfer that takes no time keeps the radio awake all the same
    ends = np.nextafter(columns.end[rows], np.inf)
    return tails(zip(columns.start[rows].tolist(), ends.tolist(), strict=True), inactivity, end)
