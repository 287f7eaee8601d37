"""Rounds of Flower's legacy server (`ServerApp(server_fn=...)`) in virtual time.

The legacy server asks every client of a round in a thread of its own, and each thread sends one message and waits for its reply. In
virtual time the first one would wait until its reply is there before the second has sent anything. So its pool of threads is another one
here: it lets all threads come to the point where they wait, sends all their messages at the same moment from the server's own thread, waits
for all replies there, and hands them out. Results stand in the order in which clients were asked; Flower's order is that of a set.

`max_workers` is not honoured: all clients of a round are asked at once, however many processors the machine has.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from flwr.app import Message

from fedtiny.federation.flower_internals import legacy_server

Exchange = Callable[[Sequence[Message]], list[Message]]
"""Sends messages and gives the replies that came."""


@dataclass(eq=False)
class Meeting:
    """The threads of one round: those that wait for replies, and those that still run or have ended."""

    exchange: Exchange
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _running: set[int] = field(default_factory=set)
    _waiting: dict[int, Sequence[Message]] = field(default_factory=dict)
    _replies: dict[int, list[Message]] = field(default_factory=dict)

    def holds(self, thread: int) -> bool:
        """Whether this is one of the threads, which asks here instead of the grid."""
        return thread in self._running

    def ask(self, messages: Iterable[Message]) -> list[Message]:
        """Called by a thread: waits until all others wait too, and gives the replies to its messages."""
        own = threading.get_ident()
        with self._changed:
            self._waiting[own] = list(messages)
            self._changed.notify_all()
            self._changed.wait_for(lambda: own in self._replies)
            return self._replies.pop(own)

    def hold(self, works: Sequence[Callable[[], None]]) -> None:
        """Called by the server's thread: does all work in threads, and exchanges their messages whenever none of them can go on."""
        threads = [threading.Thread(target=self._attend, args=(work,), daemon=True) for work in works]
        for thread in threads:
            thread.start()
            with self._changed:
                self._changed.wait_for(partial(self._has_come, thread))
        while self._waiting:
            self._answer()
        for thread in threads:
            thread.join()

    def _has_come(self, thread: threading.Thread) -> bool:
        return thread.ident in self._waiting or not thread.is_alive()

    def _attend(self, work: Callable[[], None]) -> None:
        own = threading.get_ident()
        self._running.add(own)
        try:
            work()
        finally:
            with self._changed:
                self._running.discard(own)
                self._changed.notify_all()

    def _answer(self) -> None:
        asked = dict(self._waiting)
        replies = self.exchange([message for messages in asked.values() for message in messages])
        with self._changed:
            for thread, messages in asked.items():
                wanted = {message.metadata.message_id for message in messages}
                self._replies[thread] = [reply for reply in replies if reply.metadata.reply_to_message_id in wanted]
                del self._waiting[thread]
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._running <= set(self._waiting))


class _Work(Future[Any]):
    """A future result that is worked for when somebody waits for it."""

    def __init__(self, number: int, work: Callable[[], Any]) -> None:
        Future.__init__(self)
        self.number, self.work = number, work

    def do(self) -> None:
        """Does the work and keeps its result, or what it raised."""
        try:
            self.set_result(self.work())
        except Exception as error:  # noqa: BLE001 - whoever reads the result finds it
            self.set_exception(error)


class _Pool:
    """What the legacy server takes for a pool of threads."""

    def __init__(self, max_workers: int | None = None) -> None:
        self._submitted = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing runs any more when it is left."""

    def submit(self, work: Callable[..., Any], *arguments: Any) -> _Work:
        """The future result of some work."""
        self._submitted += 1
        return _Work(self._submitted, lambda: work(*arguments))


@contextmanager
def legacy_rounds(meeting: Callable[[], Meeting]) -> Iterator[None]:
    """Inside this context the legacy server's rounds are meetings, each made by `meeting`."""

    def wait(fs: Iterable[_Work], timeout: float | None = None) -> tuple[list[_Work], list[_Work]]:
        ordered = sorted(fs, key=lambda one: one.number)
        meeting().hold([one.do for one in ordered])
        return ordered, []

    server = legacy_server()
    before = server.concurrent
    server.concurrent = SimpleNamespace(futures=SimpleNamespace(ThreadPoolExecutor=_Pool, wait=wait, Future=Future))
    try:
        yield
    finally:
        server.concurrent = before
