"""What a message costs in process, from push to reply, when nobody trains: `python message_cost.py`.

Workload a with 100 clients a round, where the local steps are left out: whoever trains gives the weights back at once. What is left is
FedTiny: Flower's strategy and its messages, byte counts, the devices' events in virtual time, records of the run, the average.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from gate import say
from run_fedtiny import loaded
from workloads import WORKLOADS, scenario

import fedtiny
from fedtiny.federation.deferred_clients import Training
from fedtiny.preparation import World
from fedtiny.training.local_work import LocalResult, Package

TARGET = 150e-6
_COHORT, _WARM_UP, _ROUNDS, _BLOCKS = 100, 5, 10, 7


@contextmanager
def no_training(world: World) -> Iterator[Training]:
    """Gives every client its weights back."""

    def execute(packages: Sequence[Package]) -> list[list[LocalResult]]:
        return [[LocalResult(work.weights.copy(), np.zeros(work.steps)) for _, work in package] for package in packages]

    yield Training(execute, clients=_COHORT)


def seconds_per_message() -> list[float]:
    """One number for each block of rounds."""
    content = scenario(replace(WORKLOADS["a"], cohort=_COHORT), _WARM_UP + _ROUNDS * _BLOCKS)
    ends: list[float] = []

    def progress(state: Any) -> None:
        if state.phase == "rounds" and state.done >= _WARM_UP:
            ends.append(time.perf_counter())

    fedtiny.run(loaded(content), progress=progress, training=no_training)
    blocks = [after - before for before, after in zip(ends[::_ROUNDS], ends[_ROUNDS::_ROUNDS], strict=False)]
    return [block / (_ROUNDS * _COHORT) for block in blocks]


def main() -> None:
    """Prints median, minimum and target."""
    blocks = seconds_per_message()
    say(message_median=statistics.median(blocks), message_minimum=min(blocks), target=TARGET, blocks=len(blocks))


if __name__ == "__main__":
    main()
