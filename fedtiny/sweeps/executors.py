"""What runs a sweep's cells, as the command line's words say it: processes of this machine, or a Ray cluster.

Processes start before the sweep is known: the first of them imports what cells need while the command itself imports, reads and checks.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

from fedtiny.errors import ScenarioError
from fedtiny.sweeps.local import Executor, default_workers, processes
from fedtiny.sweeps.machine import free_memory

ExecutorFor = Callable[[Path], AbstractContextManager[Executor]]
"""The executor of a sweep that writes this folder, absolute where it runs on a cluster."""

BOTH: Final = "--workers are processes of this machine, --ray is a cluster: leave out one of them"
_CELLS: Final = "fedtiny.sweeps.cell"


@contextmanager
def executors(workers: int | None, ray: str | None) -> Iterator[ExecutorFor]:
    """What gives a sweep its executor. Raises ScenarioError where the words contradict each other."""
    if ray is not None:
        if workers is not None:
            raise ScenarioError(BOTH)
        from fedtiny.sweeps.ray import ray_executor

        yield partial(ray_executor, ray)
        return
    memory = free_memory if workers is None else None
    with processes(workers or default_workers(), imports=_CELLS, memory=memory) as executor:
        yield lambda _: nullcontext(executor)
