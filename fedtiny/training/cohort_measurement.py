"""Which way of training many clients suits a machine: measured, one by one against in packages of several sizes.

Every way trains the same clients from the same weights. The ways take turns, so that what else the machine does slows all of them
alike, and medians over the turns are compared: ratio = seconds a client one by one / seconds a client in packages. A run never reads
this from the machine: what is found are keys for `training.cohort`, which are then part of the scenario, so that speed never
changes a byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from fedtiny.training.cohort import CohortTrainer, Learner
from fedtiny.training.cohort_rules import Cohort, can_be_vectorised
from fedtiny.training.local import FlatNetwork
from fedtiny.training.local_work import LocalWork, Package

SIZES: Final = (4, 8, 16, 32, 64)
"""Package sizes that are tried."""
WORTH: Final = 1.05
"""So much faster than one by one a pass must be: less is within what a machine's timings vary."""

Clock = Callable[[], float]
"""Seconds from some fixed instant, such as `time.perf_counter`."""


@dataclass(frozen=True)
class MeasuredCohort:
    """One way of training and what it takes."""

    cohort: Cohort
    seconds: float
    """Median seconds for the local steps of one client."""
    ratio: float
    """How many times faster than one by one."""


def measure_cohorts(
    flat: FlatNetwork,
    learner: Learner,
    numbers: Sequence[int],
    *,
    steps: int,
    clock: Clock,
    turns: int = 5,
    sizes: Sequence[int] = SIZES,
) -> tuple[MeasuredCohort, ...]:
    """One by one and packages of each of `sizes` that is at most the number of clients, in this order.

    `numbers` are the clients' numbers, ascending; each takes `steps` steps in a turn. One turn before the first is not counted: in it
    features of frozen layers are computed and memory is found. Where the network has no form for many clients only one by one is
    there. Raises ValueError without clients, turns or steps.
    """
    if not numbers or turns < 1 or steps < 1:
        raise ValueError(f"clients, turns and steps must be at least 1, not {len(numbers)}, {turns} and {steps}")
    tried = [size for size in sizes if size <= len(numbers)] if can_be_vectorised(flat) else []
    cohorts = [Cohort(execution="loop", clients=1), *(Cohort(execution="vectorised", clients=size) for size in tried)]
    trainer = CohortTrainer(flat, learner) if tried else None
    seconds = [[_turn(cohort, trainer, flat, learner, numbers, steps, turn, clock) for cohort in cohorts] for turn in range(turns + 1)]
    medians = [median(column) for column in zip(*seconds[1:], strict=True)]
    return tuple(MeasuredCohort(cohort, each, medians[0] / each) for cohort, each in zip(cohorts, medians, strict=True))


def suits(measured: Sequence[MeasuredCohort]) -> Cohort:
    """The fastest way; one by one where no pass is worth it, and of passes that are equally fast, to `WORTH`, the smallest."""
    best = max(each.ratio for each in measured)
    if best < WORTH:
        return measured[0].cohort
    return next(each.cohort for each in measured if each.ratio * WORTH >= best)


def _turn(
    cohort: Cohort,
    trainer: CohortTrainer | None,
    flat: FlatNetwork,
    learner: Learner,
    numbers: Sequence[int],
    steps: int,
    turn: int,
    clock: Clock,
) -> float:
    """Seconds a client."""
    start = flat.read()
    work = LocalWork(start, 1 + turn * steps, steps)
    packages = [_package(numbers[first : first + cohort.clients], work) for first in range(0, len(numbers), cohort.clients)]
    began = clock()
    for package in packages:
        if cohort.execution == "vectorised" and trainer is not None:
            trainer.train(package)
        else:
            for number, each in package:
                learner(number).do(each)
    spent = clock() - began
    flat.load(start)
    return spent / len(numbers)


def _package(numbers: Sequence[int], work: LocalWork) -> Package:
    return tuple((number, work) for number in numbers)
