"""A run's packages, or a sweep's cells, over a Ray cluster (Moritz et al.: Ray, OSDI 2018, arXiv 1712.05889).

Every package or cell is a Ray task that asks for one CPU; where and when it runs is Ray's own scheduler's business. A process of the
cluster prepares the run's world when its first package comes, and keeps it for those that follow. Worlds are compared as those of local
worker processes are, with versions and kind of processor among them, so a cluster changes no byte of a run; one whose nodes would is
refused. FedTiny and whatever the scenario names (data, code) must be on every node.

What a node had when it was lost is done again on another one, a few times over.

The cells of a sweep write their folders themselves: all nodes must see the sweep's folder, which is checked before the first cell runs.

Ray is an optional extra, imported here alone: `pip install 'fedtiny[ray]'`.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, cast

from fedtiny.errors import ExperimentError, FolderError, InputError
from fedtiny.federation.deferred_clients import Training
from fedtiny.preparation import World
from fedtiny.simulated_clients import TrainingOf, in_this_process
from fedtiny.sweeps.local import Executor, J, R, no_further
from fedtiny.sweeps.worker_process import Order, PreparedWorld, sendable
from fedtiny.training.local_work import RESULT_ARRAYS, LocalResult, Package
from fedtiny.world_identity import Identity, differing, world_identity

_PACKAGES_PER_CPU: Final = 2
# nodes that are lost one after the other with the same package or cell, and processes that it kills
_RETRIES: Final = 3
_KNOCK_SECONDS: Final = 10


def on_ray(address: str, *, allow_code: bool = False) -> TrainingOf:
    """Packages are trained by the Ray cluster at this address (`auto`: the one on this machine).

    Raises InputError without ray or a cluster, and ExperimentError where a node's world is not the same or a package's process dies
    again and again; and what the cluster's processes raise.
    """

    @contextmanager
    def training(world: World) -> Iterator[Training]:
        with _connected(address) as ray, in_this_process()(world) as alone:
            expected = ray.put(_Expected(Order(world.blueprint.scenario, allow_code), world_identity(world)))
            task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_train)
            most = _PACKAGES_PER_CPU * max(1, int(ray.cluster_resources().get("CPU", 1)))
            yield replace(alone, execute=partial(_execute, ray, partial(task.remote, [expected]), most), packages=most)

    return training


@contextmanager
def ray_executor(address: str, folder: Path) -> Iterator[Executor]:
    """An executor whose jobs are tasks of a Ray cluster; `folder`, absolute, is where they write. See `local.Executor`.

    Raises InputError without ray or a cluster, and FolderError where a node does not see the folder.
    """
    with _connected(address) as ray:
        _check_shared(ray, folder)
        yield _Cluster(ray)


@dataclass(frozen=True)
class _Expected:
    """What a process of the cluster is to prepare, and what must come of it."""

    order: Order
    identity: Identity


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise InputError(f"--ray needs {error.name}, which is not installed: pip install 'fedtiny[ray]'") from None
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="error")
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"there is no Ray cluster at {address} ({error}): start one with `ray start --head`, or leave out --ray"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError where nobody listens at host:port, for which Ray alone would wait a minute and more."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "/" not in host:
        socket.create_connection((host, int(port)), timeout=_KNOCK_SECONDS).close()


def _execute(ray: Any, submit: Callable[[Package], Any], most: int, packages: Sequence[Package]) -> list[list[LocalResult]]:
    """Trains packages, so many at most at a time; see `Execute`."""
    references: list[Any] = []
    for package in packages:
        if len(references) >= most:
            ray.wait(references, num_returns=len(references) - most + 1, fetch_local=False)
        references.append(submit(package))
    return [_received(ray, reference) for reference in references]


def _received(ray: Any, reference: Any) -> list[LocalResult]:
    try:
        reply = ray.get(reference)
    except ray.exceptions.RayError as error:
        raise ExperimentError(f"the Ray cluster lost a package {1 + _RETRIES} times: {error}") from error
    if isinstance(reply, Exception):
        raise reply
    # Ray shares its memory with whoever reads it: nobody may write there
    return [replace(result, **{name: _own(getattr(result, name)) for name in RESULT_ARRAYS}) for result in reply]


def _own(array: Any) -> Any:
    return None if array is None else array.copy()


def _train(expected: list[Any], package: Package) -> list[LocalResult] | Exception:
    """A package's results, or what training it raised: a task of the cluster. The list keeps Ray from fetching what is in it."""
    try:
        return _prepared(expected[0]).train(package)
    except Exception as error:  # noqa: BLE001  the run raises it
        return sendable(error)


@lru_cache(maxsize=1)
def _prepared(expected: Any) -> PreparedWorld:
    import ray

    wanted: _Expected = ray.get(expected)
    world = PreparedWorld(wanted.order)
    if found := differing(wanted.identity, world.identity):
        raise ExperimentError(
            f"node {ray.util.get_node_ip_address()} of the Ray cluster prepared another world than the run: {'; '.join(found)}. All nodes "
            "need the same versions, data and kind of processor, or the run's bytes would depend on where its clients train"
        )
    return world


@dataclass(frozen=True)
class _Cluster:
    """An executor on the processors of a Ray cluster."""

    ray: Any

    @property
    def at_once(self) -> int:
        """The processors that the cluster has now: nodes may come and go."""
        return max(1, int(self.ray.cluster_resources().get("CPU", 1)))

    def __call__(
        self, work: Callable[[J], R], jobs: Sequence[J], lost: Callable[[J], R], then: Callable[[R], Sequence[J]] = no_further
    ) -> Iterator[R]:
        task = self.ray.remote(num_cpus=1, max_retries=_RETRIES)(work)
        waiting, running = deque(jobs), dict[Any, J]()
        while waiting or running:
            while waiting and len(running) < self.at_once:
                job = waiting.popleft()
                running[task.remote(job)] = job
            (reference,), _ = self.ray.wait(list(running))
            result = self._result(reference, running.pop(reference), lost)
            waiting.extendleft(reversed(then(result)))
            yield result

    def _result(self, reference: Any, job: J, lost: Callable[[J], R]) -> R:
        errors = self.ray.exceptions
        try:
            return cast(R, self.ray.get(reference))
        except (errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError):
            return lost(job)


def _check_shared(ray: Any, folder: Path) -> None:
    """Raises FolderError where a node does not see what this one writes next to the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=folder.parent, prefix=f".{folder.name}-") as sign:
        nodes = [node for node in ray.nodes() if node["Alive"]]
        seen = ray.get([_on_node(ray, node["NodeID"]).remote(sign.name) for node in nodes])
    blind = [node["NodeManagerAddress"] for node, sees in zip(nodes, seen, strict=True) if not sees]
    if blind:
        raise FolderError(
            f"{folder} is not on nodes {', '.join(blind)} of the Ray cluster, and the cells of a sweep write there: choose an --out on a "
            "file system that all nodes share"
        )


def _on_node(ray: Any, node: str) -> Any:
    strategy = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, scheduling_strategy=strategy)(_exists)


def _exists(path: str) -> bool:
    return Path(path).exists()
