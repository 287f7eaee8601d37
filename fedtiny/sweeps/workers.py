"""A run's packages on several processes of this machine.

Every worker prepares the same world from the same scenario, and the identities of the worlds are compared before anything is trained:
a package then gives the same bytes wherever it is trained, so the number of workers changes no byte of a run. Packages are as they
would be in one process; a free worker takes the next one, and at most one is on its way to each. A worker that is killed is replaced
and its package done again, once; a package that kills its worker twice ends the run.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Final, cast

from fedtiny.errors import ExperimentError
from fedtiny.federation.deferred_clients import Training
from fedtiny.preparation import World
from fedtiny.simulated_clients import TrainingOf, in_this_process
from fedtiny.sweeps.worker_process import Order, serve
from fedtiny.training.local_work import LocalResult, Package
from fedtiny.world_identity import Identity, differing, world_identity

_PACKAGES_PER_WORKER: Final = 2
_GRACE: Final = 5.0


def in_worker_processes(workers: int, *, allow_code: bool = False) -> TrainingOf:
    """Packages are trained by so many processes of this machine, one thread each.

    Raises ExperimentError where a worker's world is not the same, or a package kills its worker twice; and what a worker raises.
    """

    @contextmanager
    def training(world: World) -> Iterator[Training]:
        order, identity = Order(world.blueprint.scenario, allow_code), world_identity(world)
        with _crew(workers, order, identity) as crew, in_this_process()(world) as alone:
            yield replace(alone, execute=crew.execute, packages=_PACKAGES_PER_WORKER * workers)

    return training


@dataclass(eq=False)
class _Worker:
    """A process and our end of its pipe."""

    process: BaseProcess
    pipe: Connection


@contextmanager
def _crew(workers: int, order: Order, identity: Identity) -> Iterator["_Crew"]:
    crew = _Crew(order, identity)
    try:
        for _ in range(workers):
            crew.hire()
        crew.check(crew.workers)
        yield crew
    except BaseException:
        crew.dismiss(at_once=True)
        raise
    crew.dismiss()


@dataclass(eq=False)
class _Crew:
    """The workers of one run."""

    order: Order
    identity: Identity
    workers: list[_Worker] = field(default_factory=list)

    def hire(self) -> _Worker:
        """Starts a worker and tells it what to prepare."""
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        self.workers.append(worker := _Worker(process, ours))
        _send(worker, self.order)
        return worker

    def check(self, workers: Sequence[_Worker]) -> None:
        """Waits until these workers have prepared their worlds. Raises ExperimentError where one is another world."""
        for worker in workers:
            theirs = _received(worker)
            if theirs is None:
                raise ExperimentError(
                    "a worker process was killed while it prepared the run, perhaps because memory ran out: use fewer --workers"
                )
            if found := differing(self.identity, cast(Identity, theirs)):
                raise ExperimentError(
                    f"a worker process prepared another world than the run: {'; '.join(found)}. Whatever the scenario names (data, code, "
                    "cached values) must stay as it is while a run starts"
                )

    def execute(self, packages: Sequence[Package]) -> list[list[LocalResult]]:
        """Trains packages; their results in the packages' order. See `Execute`."""
        results: dict[int, list[LocalResult]] = {}
        waiting, busy = deque(range(len(packages))), dict[_Worker, int]()
        lost: set[int] = set()
        while len(results) < len(packages):
            for worker in [worker for worker in self.workers if worker not in busy][: len(waiting)]:
                busy[worker] = waiting.popleft()
                _send(worker, packages[busy[worker]])
            for worker in self._ready(list(busy)):
                place, reply = busy.pop(worker), _received(worker)
                if reply is not None:
                    results[place] = cast(list[LocalResult], reply)
                    continue
                self._replace(worker, again=place in lost)
                lost.add(place)
                waiting.appendleft(place)
        return [results[place] for place in range(len(packages))]

    def _ready(self, workers: Sequence[_Worker]) -> list[_Worker]:
        ready = wait([worker.pipe for worker in workers])
        return [worker for worker in workers if worker.pipe in ready]

    def _replace(self, worker: _Worker, *, again: bool) -> None:
        self.workers.remove(worker)
        _end(worker)
        if again:
            raise ExperimentError("a package killed its worker process twice, perhaps because memory ran out: use fewer --workers")
        self.check([self.hire()])

    def dismiss(self, *, at_once: bool = False) -> None:
        """Ends all workers: their pipes are closed, and who has not gone after a while, or must go at once, is terminated."""
        for worker in self.workers:
            worker.pipe.close()
            if at_once:
                worker.process.terminate()
        for worker in self.workers:
            _end(worker)
        self.workers.clear()


def _end(worker: _Worker) -> None:
    worker.pipe.close()
    for stop in _STOPS:
        worker.process.join(_GRACE)
        if worker.process.exitcode is not None:
            break
        stop(worker.process)
    worker.process.join()
    worker.process.close()


_STOPS: Final[tuple[Callable[[BaseProcess], None], ...]] = (lambda process: process.terminate(), lambda process: process.kill())


def _send(worker: _Worker, message: object) -> None:
    """Sends, unless the worker is dead, which whoever waits for its reply finds out."""
    try:
        worker.pipe.send(message)
    except (BrokenPipeError, ConnectionResetError):
        return


def _received(worker: _Worker) -> Any | None:
    """A worker's reply; None if it is dead. Raises what it raised."""
    try:
        reply = worker.pipe.recv()
    except (EOFError, ConnectionResetError):
        return None
    if isinstance(reply, Exception):
        raise reply
    return reply
