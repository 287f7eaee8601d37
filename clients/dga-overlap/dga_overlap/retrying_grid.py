"""A Grid whose failed messages are sent again, to the same device: strategies above it see no failure until it gives up.

A trainer answers the same message with the same sum however often it comes, so nothing is trained twice. A SuperNode that was
started again has another node id: a node that was never asked anything is taken for one that has gone, and the trainer beside it says so if
it holds another device's data.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flwr.app import Message
from flwr.serverapp import Grid

log = logging.getLogger("flwr")


@dataclass
class _Asked:
    message: Message
    left: int


@dataclass
class RetryingGrid(Grid):
    """Another grid, seen without its failures. Nodes keep the ids under which they were first seen."""

    inner: Grid
    retries: int
    _asked: dict[str, _Asked] = field(default_factory=dict)
    """By the id of the message that is under way now."""
    _first: dict[str, str] = field(default_factory=dict)
    """The id that the caller knows, by the id that is under way now."""
    _now: dict[int, int] = field(default_factory=dict)
    """The id of the node that stands for another, which has gone."""
    _seen: set[int] = field(default_factory=set)
    """Every node that was ever asked something."""

    @property
    def run(self) -> Any:
        """The run of the grid inside."""
        return self.inner.run

    def set_run(self, run: Any) -> None:
        """As the grid inside."""
        self.inner.set_run(run)

    def create_message(self, content: Any, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None) -> Message:
        """An instruction for a node."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """The nodes that were seen first, and those that stand for nobody."""
        standing = set(self._now.values())
        there = [node for node in self.inner.get_node_ids() if node not in standing]
        return sorted({*there, *self._now})

    def get_nodes(self) -> Any:
        """As the grid inside."""
        return self.inner.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Sends messages; they are sent again if their nodes fail."""
        pushed = list(messages)
        ids = []
        for message in pushed:
            self._seen.add(message.metadata.dst_node_id)
            sent = self._push(message)
            self._asked[sent] = _Asked(message, self.retries)
            self._first[sent] = sent
            ids.append(sent)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that have come, under the ids that the caller knows; errors only of those who have failed too often."""
        wanted = set(message_ids)
        under_way = [now for now, first in self._first.items() if first in wanted]
        found = []
        for reply in self.inner.pull_messages(under_way) if under_way else []:
            now = reply.metadata.reply_to_message_id
            asked, first = self._asked.pop(now), self._first.pop(now)
            if reply.has_error() and asked.left:
                self._again(asked, first, reply)
                continue
            reply.metadata.__dict__["_reply_to_message_id"] = first
            reply.metadata.__dict__["_src_node_id"] = asked.message.metadata.dst_node_id
            found.append(reply)
        return found

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Not asked of it: FedTiny's loops push and pull."""
        raise NotImplementedError("use push_messages and pull_messages")

    def _again(self, asked: _Asked, first: str, reply: Message) -> None:
        node = asked.message.metadata.dst_node_id
        log.warning("node %d failed (%s); %d retries left", node, str(reply.error.reason).splitlines()[-1:], asked.left - 1)
        there = set(self.inner.get_node_ids())
        if self._now.get(node, node) not in there:
            free = sorted(there - set(self._now.values()) - self._seen)
            if free:
                self._now[node] = free[0]
                log.warning("node %d is taken to be node %d, started again", free[0], node)
        sent = self._push(asked.message)
        self._asked[sent] = _Asked(asked.message, asked.left - 1)
        self._first[sent] = first

    def _push(self, message: Message) -> str:
        node = message.metadata.dst_node_id
        copy = Message(message.content, self._now.get(node, node), message.metadata.message_type, group_id=message.metadata.group_id)
        (sent,) = self.inner.push_messages([copy])
        return sent
