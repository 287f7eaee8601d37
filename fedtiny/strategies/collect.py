"""Waiting for nodes and replies on any Grid: virtual time jumps, real time sleeps between pulls.

A loop that pulls without waiting never advances virtual time, and one that sleeps for real wastes it. All of FedTiny's
own server loops wait with these functions and so run unchanged on both.
"""

import logging
import time
from collections.abc import Sequence

from flwr.app import Message
from flwr.serverapp import Grid

from fedtiny.federation.grid import VirtualTimeGrid
from fedtiny.strategies.base import require_devices

_REAL_PULL_INTERVAL = 0.2
_REAL_CONNECT_INTERVAL = 1.0

_log = logging.getLogger("flwr")
"""Flower's own log, which a SuperLink keeps for every run and `flwr log` shows."""


def now(grid: Grid) -> float:
    """Seconds on the grid's clock, virtual or real; only differences mean something."""
    return grid.now if isinstance(grid, VirtualTimeGrid) else time.monotonic()


def wait_for_nodes(grid: Grid, wanted: int) -> None:
    """Waits until so many nodes take part: a real federation has none yet when its server starts.

    Raises RoundError on a virtual grid with fewer, where nobody connects later; whether those who take part are there is another matter.
    """
    if isinstance(grid, VirtualTimeGrid):
        require_devices(wanted, len(grid.members()))
        return
    told: int | None = None
    while (connected := len(list(grid.get_node_ids()))) < wanted:
        if connected != told:
            _log.info("waiting for nodes: %d of %d are connected", connected, wanted)
            told = connected
        time.sleep(_REAL_CONNECT_INTERVAL)


def gather(grid: Grid, wanted: int) -> list[int]:
    """The nodes that are there, ascending, as soon as there are so many. Raises RoundError where so many will never be."""
    if not isinstance(grid, VirtualTimeGrid):
        wait_for_nodes(grid, wanted)
        return sorted(grid.get_node_ids())
    there = grid.gather(wanted)
    require_devices(wanted, len(there))
    return there


def members(grid: Grid) -> list[int]:
    """All nodes that take part, ascending; on a real grid those that are connected."""
    return grid.members() if isinstance(grid, VirtualTimeGrid) else sorted(grid.get_node_ids())


def is_there(grid: Grid, node: int) -> bool:
    """Whether a node is there; on a real grid nobody asks, and who is not there answers with an error."""
    return not isinstance(grid, VirtualTimeGrid) or grid.is_there(node)


def wait_for_any(grid: Grid, message_ids: Sequence[str], timeout: float | None = None) -> list[Message]:
    """The replies to these messages that are there when the first of them is, or none if none comes within the timeout (s of the
    grid's clock); with 0 s, those that are there now."""
    if isinstance(grid, VirtualTimeGrid):
        return grid.wait_for_any(message_ids, timeout)
    deadline = None if timeout is None else now(grid) + timeout
    while True:
        replies = list(grid.pull_messages(message_ids))
        if replies or (deadline is not None and now(grid) >= deadline):
            return replies
        time.sleep(_REAL_PULL_INTERVAL)


def wait_for(grid: Grid, message_ids: Sequence[str], timeout: float | None = None) -> list[Message]:
    """All replies to these messages, or those that came within the timeout (s of the grid's clock)."""
    if isinstance(grid, VirtualTimeGrid):
        return grid.wait(message_ids, timeout)
    replies: list[Message] = []
    missing = set(message_ids)
    deadline = None if timeout is None else now(grid) + timeout
    while missing:
        for reply in list(grid.pull_messages(missing)):
            missing.discard(reply.metadata.reply_to_message_id)
            replies.append(reply)
        if not missing or (deadline is not None and now(grid) >= deadline):
            break
        time.sleep(_REAL_PULL_INTERVAL)
    return replies


def wait_for_watching(
    grid: Grid, message_ids: Sequence[str], beside: Sequence[str], timeout: float | None = None
) -> tuple[list[Message], list[Message], dict[str, float]]:
    """As `wait_for`, and what has come by then for other messages, and by message id when each reply came (s of the grid's clock)."""
    if isinstance(grid, VirtualTimeGrid):
        replies = grid.wait(message_ids, timeout)
        times = grid.arrival_times
        others = grid.wait(beside, 0.0)
        return replies, others, times | grid.arrival_times
    wanted, missing, watched = set(message_ids), set(message_ids), set(beside)
    found: list[Message] = []
    times = {}
    deadline = None if timeout is None else now(grid) + timeout
    while True:
        for reply in list(grid.pull_messages(missing | watched)):
            answered = reply.metadata.reply_to_message_id
            missing.discard(answered)
            watched.discard(answered)
            times[answered] = now(grid)
            found.append(reply)
        if not missing or (deadline is not None and now(grid) >= deadline):
            break
        time.sleep(_REAL_PULL_INTERVAL)
    own = [reply for reply in found if reply.metadata.reply_to_message_id in wanted]
    return own, [reply for reply in found if reply.metadata.reply_to_message_id not in wanted], times
