"""Cells on the processes of this machine.

An executor does a piece of work for each job and gives the results as they come, in any order; what came of a job may lead to
further jobs. Here every job runs in a process of a pool, started afresh (spawned), with one thread for linear algebra, so
that as many cells run side by side as there are processors. A process that dies takes no other cell with it: the jobs that were
in hand when a pool broke are done again, each in a process of its own, and a new pool does the others.

This module imports nothing of FedTiny: a new process imports it before the variables that keep it to one thread are set.
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
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, Never, Protocol, TypeVar

J = TypeVar("J")
R = TypeVar("R")


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


_BYTES_PER_PROCESS: Final = 1_000_000_000
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextlib.contextmanager
def processes(workers: int, *, imports: str | None = None) -> Iterator[Executor]:
    """An executor on `workers` processes of this machine at most, started as jobs come; leaving by an exception ends them at once.
    The first one starts now and imports a module, if one is named, while the caller does something else."""
    others = set(multiprocessing.active_children())
    pool = _Processes(workers)
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
    """How many processes suit this machine: one per processor that we may use and per GB of free memory."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, _free_memory() // _BYTES_PER_PROCESS))


def _free_memory() -> int:
    """Bytes that can be had without swapping; as much as could be wanted where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _BYTES_PER_PROCESS * (os.cpu_count() or 1)
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)


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

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self._pool = _pool(at_once)

    def __call__(
        self, work: Callable[[J], R], jobs: Sequence[J], lost: Callable[[J], R], then: Callable[[R], Sequence[J]] = no_further
    ) -> Iterator[R]:
        waiting, running = deque(jobs), dict[concurrent.futures.Future[R], J]()
        while waiting or running:
            while waiting and len(running) < self.at_once:
                job = waiting.popleft()
                running[self.submit(work, job)] = job
            for result in self._finished(running, work, lost):
                waiting.extendleft(reversed(then(result)))
                yield result

    def submit(self, work: Callable[[J], R], job: J) -> concurrent.futures.Future[R]:
        """Has a job done by the next process that is free."""
        try:
            return self._pool.submit(work, job)
        except BrokenProcessPool:  # by a process that died between two jobs
            self._replace()
            return self._pool.submit(work, job)

    def shutdown(self, *, at_once: bool = False) -> None:
        """Ends the processes when they have done their jobs, or forgets their jobs."""
        self._pool.shutdown(wait=not at_once, cancel_futures=at_once)

    def _finished(self, running: dict[concurrent.futures.Future[R], J], work: Callable[[J], R], lost: Callable[[J], R]) -> Iterator[R]:
        """The results that come next. A pool that broke has lost all that was running."""
        done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
            self._replace()
            done = set(running)
        for future in done:
            job = running.pop(future)
            try:
                yield future.result()
            except BrokenProcessPool:
                yield _alone(work, job, lost)

    def _replace(self) -> None:
        """A new pool, when all that ran in this one has come to an end."""
        self._pool.shutdown()
        self._pool = _pool(self.at_once)


def _alone(work: Callable[[J], R], job: J, lost: Callable[[J], R]) -> R:
    with _pool(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return lost(job)
