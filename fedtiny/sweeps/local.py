"""Cells on the processes of this machine.

An executor does a piece of work for each job and gives the results as they come, in any order; what came of a job may lead to
further jobs. Here every job runs in a process of a pool, started afresh (spawned), with one thread for linear algebra, so
that as many cells run side by side as there are processors. A process that dies takes no other cell with it: the jobs that were
in hand when a pool broke are done again, each in a process of its own, and a new pool does the others.

This module imports nothing of FedTiny but what imports nothing itself: a new process imports it before the variables that keep it to one
thread are set.
"""

import atexit
import concurrent.futures
import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Final, Generic, Never, ParamSpec, Protocol, TypeVar

from fedtiny.sweeps.machine import held_memory, peak_memory, usable_processors
from fedtiny.sweeps.side_by_side import helpful_processes

J = TypeVar("J")
R = TypeVar("R")
P = ParamSpec("P")


def no_further(_: object) -> Sequence[Never]:
    """What a result leads to, usually: no further jobs."""
    return ()


class Executor(Protocol):
    """A map over jobs."""

    @property
    def at_once(self) -> int:
        """How many jobs are done at the same time, at most."""
        ...

    def __call__(
        self, work: Callable[[J], R], jobs: Sequence[J], lost: Callable[[J], R], then: Callable[[R], Sequence[J]] = no_further
    ) -> Iterator[R]:
        """`work(job)` for every job, in any order, begun in theirs; `lost(job)` where the process that did it died.

        `then(result)` are further jobs, whose turn comes before that of the jobs which have not begun.
        """
        ...


FreeMemory = Callable[[], int | None]
"""Bytes that can be had now; None: unknown, and so no bound."""

_BYTES_PER_PROCESS: Final = 1_000_000_000
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def processes(workers: int, *, imports: str | None = None, memory: FreeMemory | None = None) -> Iterator[Executor]:
    """An executor on `workers` processes of this machine at most, started as jobs come; leaving by an exception ends them at once.
    The first one starts now and imports a module, if one is named, while the caller does something else.

    `memory` gives the bytes that can be had now: then there are no more jobs at a time than they suffice for, each for as much as the
    largest process has held so far, and for a GB or more until one job of a call has ended. Left out: memory is the caller's business.
    """
    others = set(multiprocessing.active_children())
    pool = _Processes(workers, memory)
    try:
        if imports is not None:
            pool.submit(_import, imports)
        yield pool
        pool.shutdown()
    except BaseException:
        pool.shutdown(at_once=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise


def default_workers() -> int:
    """How many processes suit this machine: as many as get more done than fewer (`side_by_side`), of the processors that we may use. How
    many memory suffices for is measured while a sweep goes on."""
    return helpful_processes(usable_processors())


def _pool(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    return concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_start)


def _start() -> None:
    """Prepares a process: linear algebra reads these variables when it is imported; the parent answers Ctrl-C for all.

    Without its parent a process would wait for ever, or write where the next sweep writes too.
    """
    for name in _THREAD_VARIABLES:
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    atexit.register(_leave)
    threading.Thread(target=_leave_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _leave() -> None:
    """Ends this process, after all that others registered later than this, without freeing its objects: for torch that takes 0.7 s."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _leave_with(parent: BaseProcess | None) -> None:
    """Ends this process as soon as its parent has ended, however that came."""
    if parent is not None:
        parent.join()
        os._exit(1)


def _import(module: str) -> None:
    # what is wrong with a module is said by the job that needs it
    with contextlib.suppress(Exception):
        importlib.import_module(module)


class _Processes:
    """An executor on a pool of processes, which is replaced when it breaks."""

    def __init__(self, most: int, memory: FreeMemory | None) -> None:
        self.at_once = self._most = most
        self._memory = memory
        self._peak = 0
        self._pool = _pool(most)

    def __call__(
        self, work: Callable[[J], R], jobs: Sequence[J], lost: Callable[[J], R], then: Callable[[R], Sequence[J]] = no_further
    ) -> Iterator[R]:
        waiting, running = deque(jobs), dict[concurrent.futures.Future[_Done[R]], J]()
        self._fit(max(_BYTES_PER_PROCESS, self._peak))
        while waiting or running:
            while waiting and len(running) < self.at_once:
                job = waiting.popleft()
                running[self.submit(_observed, work, job)] = job
            for result in self._finished(running, work, lost):
                waiting.extendleft(reversed(then(result)))
                yield result

    def submit(self, work: Callable[P, R], *arguments: P.args, **more: P.kwargs) -> concurrent.futures.Future[R]:
        """Has something done by the next process that is free."""
        try:
            return self._pool.submit(work, *arguments, **more)
        except BrokenProcessPool:  # by a process that died between two jobs
            self._replace()
            return self._pool.submit(work, *arguments, **more)

    def _fit(self, bytes_each: int) -> None:
        """As many jobs at once as there is memory for, what processes hold already included."""
        free = None if self._memory is None else self._memory()
        if free is not None:
            held = held_memory(child.pid for child in multiprocessing.active_children() if child.pid is not None)
            self.at_once = max(1, min(self._most, (free + held) // bytes_each))

    def shutdown(self, *, at_once: bool = False) -> None:
        """Ends the processes when they have done their jobs, or forgets their jobs."""
        self._pool.shutdown(wait=not at_once, cancel_futures=at_once)

    def _finished(
        self, running: dict[concurrent.futures.Future["_Done[R]"], J], work: Callable[[J], R], lost: Callable[[J], R]
    ) -> Iterator[R]:
        """The results that come next. A pool that broke has lost all that was running."""
        done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            self._replace()
            done = set(running)
        for future in done:
            job = running.pop(future)
            try:
                ended = future.result()
            except BrokenProcessPool:
                yield _alone(work, job, lost)
                continue
            self._peak = max(self._peak, ended.peak)
            self._fit(self._peak)
            yield ended.result

    def _replace(self) -> None:
        """A new pool, when all that ran in this one has come to an end."""
        self._pool.shutdown()
        self._pool = _pool(self._most)


@dataclass(frozen=True)
class _Done(Generic[R]):
    """What a job gave, and the most bytes that its process has held."""

    result: R
    peak: int


def _observed(work: Callable[[J], R], job: J) -> _Done[R]:
    return _Done(work(job), peak_memory())


def _alone(work: Callable[[J], R], job: J, lost: Callable[[J], R]) -> R:
    with _pool(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return lost(job)
