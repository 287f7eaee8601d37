"""The Grid that a foreign server app gets: a VirtualTimeGrid behind what Flower's own grids do with any app.

Messages get their ids when they are pushed, also the objects that the app holds, and are valid for the time that they say. An empty pull
costs nothing the first time at a moment, since an app that polls sleeps in between; an app that only pulls waits, by the second pull at
one moment, until the next reply comes or for the poll interval, whichever is sooner: else its loop would never end.

Where devices come and leave, the server learns at each look that the node of a message is not there: error 5 in place of its reply;
while it waits, it looks every 3 s, as Flower's HttpGrid does (flwr/superlink/grid/http_grid.py of 1.41).

Threads of the server app's own take turns: their messages are delivered, but one waits after the other, and the run says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from math import inf
from threading import RLock, get_ident
from typing import Any, Final

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedtiny.apps.app_rounds import AppRounds
from fedtiny.apps.foreign_clients import RunFails
from fedtiny.apps.legacy_rounds import Meeting
from fedtiny.apps.server_clock import EPOCH
from fedtiny.errors import SimulationError
from fedtiny.federation.flower_internals import identify, node_records, run_record
from fedtiny.federation.grid import VirtualTimeGrid
from fedtiny.federation.messages import REPLY_UNAVAILABLE, unavailable
from fedtiny.federation.records import isolated

_ROUNDING: Final = 1e-5
_PATIENCE: Final = 10_000
_PATIENCE_WHILE_DEVICES_COME_AND_LEAVE: Final = 1_000_000
"""How often in a row a server app may sleep or look while nothing is under way."""


@dataclass
class AppGrid(Grid):
    """A Flower Grid in virtual time for any server app."""

    grid: VirtualTimeGrid
    rounds: AppRounds
    last_arrays: RecordDict = field(default_factory=RecordDict)
    """The last content that the server sent with arrays in it."""
    meeting: Meeting | None = None
    """Of the threads in which a legacy server asks the clients of a round."""
    _open: dict[str, int] = field(default_factory=dict)
    """The nodes of messages without a reply that was taken, by the messages' ids."""
    threads: set[int] = field(default_factory=set)
    """Those that sent messages or waited for replies."""
    _lock: AbstractContextManager[Any] = field(default_factory=RLock)
    _looked_at: float = -1.0
    _idle: int = 0

    # --- Flower's interface -------------------------------------------------------------------------------------

    def set_run(self, run: Any) -> None:
        """Nothing to set: a grid belongs to one run."""

    @property
    def run(self) -> Any:
        """The run, as Flower describes it: its id."""
        return run_record()

    def create_message(self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None) -> Message:
        """An instruction for a node; deprecated in Flower in favour of ``Message(...)``, and the same."""
        return Message(content, dst_node_id, message_type, group_id=group_id, ttl=ttl)

    def get_node_ids(self) -> list[int]:
        """The ids of the nodes that are there now, as far as the server knows, ascending."""
        return self.grid.get_node_ids()

    def get_nodes(self) -> list[Any]:
        """The same as Flower's records of nodes."""
        return node_records(self.get_node_ids())

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Sends messages now; raises ValueError for one whose time to live is not positive, as Flower's grids do."""
        pushed = list(messages)
        for message in pushed:
            if not message.metadata.ttl > 0:
                raise ValueError(f"Invalid message: {message}")
        with self._turn():
            self.rounds.before_push(pushed)
            ids = self.grid.push_messages(pushed)
            for message, message_id in zip(pushed, ids, strict=True):
                identify(message, message_id)
                self._open[message_id] = message.metadata.dst_node_id
            self._idle = 0
            with_arrays = [message.content for message in pushed if message.has_content() and message.content.array_records]
            self.last_arrays = isolated(with_arrays[-1]) if with_arrays else self.last_arrays
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """The replies that have arrived, each handed over once; error 3 for what nobody waits for."""
        ids = list(message_ids)
        with self._turn():
            self._miss(ids)
            found = self._taken(self.grid.wait(ids, 0.0))
            if found or not ids:
                return found
            if self._looked_at != self.grid.now:
                self._looked_at = self.grid.now
                return []
            self._be_patient()
            found = self._taken(self.grid.pull_messages(ids))
            self._looked_at = self.grid.now
            return found

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        """Sends messages and waits, in virtual time, for all replies or the timeout (s)."""
        if self.meeting is not None and self.meeting.holds(get_ident()):
            return self.meeting.ask(messages)
        return self.wait(self.push_messages(messages), timeout)

    # --- what a virtual clock adds ------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Virtual seconds since the run began."""
        return self.grid.now

    def sleep(self, seconds: float) -> None:
        """Lets virtual time pass."""
        with self._turn():
            self._be_patient()
            self.grid.sleep(seconds)

    def meet(self) -> Meeting:
        """A new meeting of threads that all ask this grid."""
        self.meeting = Meeting(lambda messages: self.wait(self.push_messages(messages)))
        return self.meeting

    def wait(self, message_ids: Sequence[str], timeout: float | None = None) -> list[Message]:
        """Waits for all these replies or until the timeout (s), and hands over what has arrived."""
        with self._turn():
            return self._waited(message_ids, timeout)

    # --- inside -------------------------------------------------------------------------------------------------

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One thread at a time; that others than the server app's own were here is noted."""
        with self._lock:
            self.threads.add(get_ident())
            yield

    def _waited(self, message_ids: Sequence[str], timeout: float | None) -> list[Message]:
        if self.grid.roll is None:
            return self._taken(self.grid.wait(message_ids, timeout))
        deadline = inf if timeout is None else self.now + timeout
        waiting, found = list(message_ids), list[Message]()
        while waiting:
            self._miss(waiting)
            found += self._taken(self.grid.wait(waiting, min(self.grid.poll_interval, deadline - self.now)))
            answered = {reply.metadata.reply_to_message_id for reply in found}
            waiting = [message_id for message_id in waiting if message_id not in answered]
            if self.now >= deadline:
                break
        return found

    def _miss(self, message_ids: Iterable[str]) -> None:
        """The server looks which of the nodes that it waits for are not there."""
        if self.grid.roll is not None:
            for message_id in message_ids:
                node = self._open.get(message_id)
                if node is not None and not self.grid.is_there(node):
                    self.grid.give_up(message_id)

    def _taken(self, found: list[Message]) -> list[Message]:
        replies = [self._valid(reply) for reply in found]
        if replies:
            for reply in replies:
                self._open.pop(reply.metadata.reply_to_message_id, None)
            self._idle, self._looked_at = 0, -1.0
            self.rounds.after_take(replies)
        return replies

    def _valid(self, reply: Message) -> Message:
        """The reply, or error 4 where a client app gave it a time to live of its own that is over."""
        said = reply.metadata
        if reply.has_error() or said.created_at + said.ttl >= EPOCH + self.grid.now - _ROUNDING:
            return reply
        return unavailable(said.reply_to_message_id, REPLY_UNAVAILABLE, message_type=said.message_type)

    def _be_patient(self) -> None:
        """Raises RunFails where the server app waits for what can never come."""
        self._idle = 0 if self._open else self._idle + 1
        roll = self.grid.roll
        most = _PATIENCE if roll is None or not roll.changes else _PATIENCE_WHILE_DEVICES_COME_AND_LEAVE
        if self._idle > most:
            there = len(self.get_node_ids())
            raise RunFails(
                SimulationError(
                    f"the server app has slept or looked {most} times in a row, until {self.now:.6g} s, while no message is under way: it "
                    f"waits for what cannot come, such as more than the {there} nodes that are there; give the fleet more devices, or "
                    "stop: {virtual_time: ...}"
                )
            )
