"""The links of a critical path: whose they are, why, and from when to when; and which of them wait for a device that is not there."""

import math
from bisect import bisect_right
from typing import Final, Literal, get_args

import numpy as np

from fedtiny.simulation.absences import AwayUntil
from fedtiny.simulation.trace import EVALUATE, PAGING, START_UP, TRAIN

Cause = Literal["compute", "start_up", "upload", "download", "latency", "polling", "stall", "timeout", "offline", "out_of_memory"]
CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)
CODES: Final[dict[Cause, int]] = {cause: code for code, cause in enumerate(CAUSES)}

SERVER: Final = -1
"""The device of what no device is the cause of."""

Link = tuple[int, int, int, float, float]
"""Device, round, place of its cause in CAUSES, start and end (s)."""

CAUSE_OF_WORK: Final[dict[int, Cause]] = {EVALUATE: "compute", PAGING: "out_of_memory", START_UP: "start_up", TRAIN: "compute"}
"""What keeps a device whose processor is busy, by the kind of the activity."""


def without_absences(links: list[Link], away: AwayUntil, end: float) -> list[Link]:
    """Links in which something waited, and its device was not there for a part of them, cut there."""
    waits = {CODES[cause] for cause in ("latency", "polling", "stall")}
    devices = np.unique(np.array([link[0] for link in links if link[2] in waits], dtype=np.int64))
    absences = away(devices[devices != SERVER], end)
    if not len(absences.device):
        return links
    spans = {device: absences.of(np.array([device])).spans() for device in np.unique(absences.device).tolist()}
    result: list[Link] = []
    for link in links:
        result += _cut(link, spans[link[0]]) if link[2] in waits and link[0] in spans else [link]
    return result


def _cut(link: Link, absences: list[tuple[float, float]]) -> list[Link]:
    device, number, cause, start, end = link
    result: list[Link] = []
    for begin, finish in absences[max(0, bisect_right(absences, (start, math.inf)) - 1) :]:
        if begin >= end:
            break
        if finish > start:
            result += [(device, number, cause, start, begin)] if begin > start else []
            result.append((device, number, CODES["offline"], max(start, begin), min(end, finish)))
            start = min(end, finish)
    return [*result, (device, number, cause, start, end)] if end > start else result


def merged_links(links: list[Link]) -> list[Link]:
    """Neighbours of one device, round and cause as one link."""
    result: list[Link] = []
    for link in links:
        if result and result[-1][:3] == link[:3]:
            result[-1] = (*link[:3], result[-1][3], link[4])
        else:
            result.append(link)
    return result
