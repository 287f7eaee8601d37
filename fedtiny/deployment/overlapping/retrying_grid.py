"""A Grid whose failed messages are sent again, to the same device: strategies above it see no failure until it gives up.

A trainer answers the same message with the same sum however often it comes, so nothing is trained twice. A SuperNode that was
started again has another node id: a node that was not there at the beginning is taken for one that has gone.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast
from uuid import uuid4

from flwr.app import ConfigRecord, Message
from flwr.serverapp import Grid

from fedtiny.deployment.overlapping.wire import FOLLOWS, ROUND
from fedtiny.federation.flower_internals import answer_for

log = logging.getLogger("flwr")


PAUSE: Final = 3.0
"""Seconds between a failure and the next try: an answer that a node has gone comes at once."""


@dataclass(eq=False)
class _Asked:
    """A message of the caller's: under which id, and since when it fails (s of the monotonic clock)."""

    message: Message
    first: str
    failing_since: float | None = None
    again_at: float = 0.0
    sent_at: float = 0.0


@dataclass
class RetryingGrid(Grid):
    """Another grid, seen without its failures. Nodes keep the ids under which they were first seen."""

    inner: Grid
    patience: float
    """How long a message is sent again before its failure is handed on, s."""
    silence: float
    """How long an answer may take before the message is sent again beside the first one, s: what a SuperNode had in its hands when it was
    killed is lost without a word if it is back soon."""
    _asked: dict[str, _Asked] = field(default_factory=dict)
    """By the ids of the messages that are under way now, several of which may be of one that the caller knows."""
    _waiting: list[_Asked] = field(default_factory=list)
    """Those that failed and will be sent again."""
    _now: dict[int, int] = field(default_factory=dict)
    """The id of the node that stands for another, which has gone."""
    _members: list[int] = field(default_factory=list)
    _begun: bool = False
    _arrived: dict[str, Message] = field(default_factory=dict)
    """Replies that the caller has not asked for yet, by the ids that it knows."""
    _last_round: dict[int, int] = field(default_factory=dict)
    """Of every node, the round of the last message."""

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
        """The nodes that are there; from the first message on, those that were there then: who comes later stands for one that has gone."""
        if not self._begun:
            self._members = sorted(self.inner.get_node_ids())
        return list(self._members)

    def get_nodes(self) -> Any:
        """As the grid inside."""
        return self.inner.get_nodes()

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Sends messages; they are sent again if their nodes fail."""
        pushed = list(messages)
        self._begun = True
        ids = []
        for message in pushed:
            self._say_what_it_follows(message)
            asked = _Asked(message, uuid4().hex)
            self._send(asked)
            ids.append(asked.first)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that have come, under the ids that the caller knows; errors only of those who have failed for too long."""
        self._send_again()
        for reply in self.inner.pull_messages(list(self._asked)) if self._asked else []:
            asked = self._asked.pop(reply.metadata.reply_to_message_id, None)
            if asked is not None:  # otherwise the second answer to a message that was sent twice
                self._take(reply, asked)
        return [self._arrived.pop(one) for one in message_ids if one in self._arrived]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Not asked of it: FedTiny's loops push and pull."""
        raise NotImplementedError("use push_messages and pull_messages")

    def _take(self, reply: Message, asked: _Asked) -> None:
        if reply.has_error() and asked in self._asked.values():
            return
        if reply.has_error() and self._is_patient(asked):
            log.warning("node %d failed (%s)", asked.message.metadata.dst_node_id, str(reply.error.reason).splitlines()[-1:])
            asked.again_at = time.monotonic() + PAUSE
            self._waiting.append(asked)
            return
        self._asked = {now: one for now, one in self._asked.items() if one is not asked}
        answer_for(reply, asked.message, asked.first)
        self._arrived[asked.first] = reply

    def _say_what_it_follows(self, message: Message) -> None:
        """A message that is sent again may come after a later one: the trainer refuses that one until then."""
        config, node = cast(ConfigRecord, message.content["config"]), message.metadata.dst_node_id
        config[FOLLOWS] = self._last_round.get(node, 0)
        self._last_round[node] = cast(int, config[ROUND])

    def _is_patient(self, asked: _Asked) -> bool:
        if asked.failing_since is None:
            asked.failing_since = time.monotonic()
        return time.monotonic() - asked.failing_since < self.patience

    def _send_again(self) -> None:
        due = [asked for asked in self._waiting if asked.again_at <= time.monotonic()]
        for asked in due:
            self._waiting.remove(asked)
            self._find_node(asked.message.metadata.dst_node_id)
            log.warning("asking node %d again", asked.message.metadata.dst_node_id)
            self._send(asked)
        for asked in {id(one): one for one in self._asked.values()}.values():
            if time.monotonic() - asked.sent_at > self.silence:
                self._find_node(asked.message.metadata.dst_node_id)
                log.warning("node %d is silent, asking it again", asked.message.metadata.dst_node_id)
                asked.sent_at = time.monotonic()
                if (sent := self._push(asked.message)) is not None:
                    self._asked[sent] = asked

    def _send(self, asked: _Asked) -> None:
        """Pushes a message; a SuperLink that knows of no such node gives no id, and is asked again later."""
        sent = self._push(asked.message)
        asked.sent_at = time.monotonic()
        if sent is not None:
            self._asked[sent] = asked
        elif self._is_patient(asked):
            asked.again_at = time.monotonic() + PAUSE
            self._waiting.append(asked)
        else:
            raise RuntimeError(f"node {asked.message.metadata.dst_node_id} has been gone for {self.patience:g} s")

    def _find_node(self, node: int) -> None:
        """Where a node has gone, a new one stands for it."""
        there = set(self.inner.get_node_ids())
        if self._now.get(node, node) in there:
            return
        free = sorted(there - set(self._now.values()) - set(self._members))
        if free:
            self._now[node] = free[0]
            log.warning("node %d is taken to be node %d, started again", free[0], node)

    def _push(self, message: Message) -> str | None:
        node = message.metadata.dst_node_id
        copy = Message(message.content, self._now.get(node, node), message.metadata.message_type, group_id=message.metadata.group_id)
        sent = list(self.inner.push_messages([copy]))
        return sent[0] if sent and sent[0] else None
