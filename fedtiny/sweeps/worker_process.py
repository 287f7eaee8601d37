"""A worker process: it prepares the scenario's world once and then trains the packages that come.

What travels between it and the run, over a pipe that only the two have:

    run -> worker   Order(scenario, allow_code), then packages; the end of the pipe ends the process
    worker -> run   the world's identity, then for every package its results; or the exception that was raised instead

This module imports nothing of FedTiny above its functions: a new process imports it before the variables that keep linear algebra to
one thread are set.
"""

import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fedtiny.scenario.schema import Scenario
    from fedtiny.training.local_work import LocalResult, Package
    from fedtiny.world_identity import Identity

_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Order:
    """The world in which a worker trains: a scenario, and whether the user's own code may run."""

    scenario: "Scenario"
    allow_code: bool = False


def keep_to_one_thread() -> None:
    """Linear algebra reads these variables when it is imported; the process that started this one answers Ctrl-C for all."""
    for name in _THREAD_VARIABLES:
        os.environ[name] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def serve(pipe: Connection) -> None:
    """Answers a run until its end of the pipe is closed."""
    keep_to_one_thread()
    with suppress(EOFError, ConnectionError):
        prepared: list[PreparedWorld] = []

        def prepare(order: Order) -> "Identity":
            prepared.append(PreparedWorld(order))
            return prepared[0].identity

        _answer(pipe, prepare)
        while prepared:
            _answer(pipe, prepared[0].train)


def _answer(pipe: Connection, do: Callable[[Any], Any]) -> None:
    wanted = pipe.recv()
    try:
        reply = do(wanted)
    except Exception as error:  # noqa: BLE001  the run raises it
        reply = sendable(error)
    pipe.send(reply)


def sendable(error: Exception) -> Exception:
    """The exception itself where it was raised on purpose; of any other the traceback, since it may not survive the way."""
    from fedtiny.errors import ExperimentError, FedTinyError
    from fedtiny.training.local_work import WorkFailed

    if isinstance(error, (FedTinyError, WorkFailed)):
        return error
    return ExperimentError("".join(traceback.format_exception(error)))


class PreparedWorld:
    """A world that was prepared in this process, and what trains in it. Raises what preparing raises."""

    def __init__(self, order: Order) -> None:
        from fedtiny.preparation import prepare
        from fedtiny.simulated_clients import in_this_process
        from fedtiny.world_identity import world_identity

        world = prepare(order.scenario, allow_code=order.allow_code)
        self.identity = world_identity(world)
        # the process ends with it: nothing is put away
        self._training = in_this_process()(world).__enter__()

    def train(self, package: "Package") -> list["LocalResult"]:
        """What a package gives; raises WorkFailed."""
        (results,) = self._training.execute([package])
        return results
