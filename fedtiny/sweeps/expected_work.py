"""How much work a cell is expected to be, so that the longest begin first and no process has the last long cell to itself.

A few rounds of the run's timing half (timing_run.py) say how many multiply-accumulates clients compute in a round and how long it is
in virtual time, and the scenario says when it ends. That is enough to put cells in order; `host_time` says seconds.
"""

from typing import Final

from fedtiny.errors import FedTinyError
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.trace import EVALUATE, TRAIN
from fedtiny.sweeps.cell import Job
from fedtiny.timing_run import run_timing

_PILOT_ROUNDS: Final = 20
_LONGEST: Final = 1_000_000


def expected_macs(scenario: Scenario, *, allow_code: bool = False) -> float:
    """Multiply-accumulates that the clients of a run compute, if it ends by rounds or virtual time and not by its target.

    Raises what `timing_run.run_timing` raises.
    """
    stop = scenario.stop
    pilot = min(_PILOT_ROUNDS, _LONGEST if stop.rounds is None else stop.rounds)
    short = stop.model_copy(update={"rounds": pilot, "target_accuracy": None})
    timed = run_timing(scenario.model_copy(update={"learning": "none", "stop": short}), allow_code=allow_code)
    columns, last = timed.trace.columns(), timed.versions[-1]
    macs = float(columns.amount[(columns.kind == TRAIN) | (columns.kind == EVALUATE)].sum())
    if last.round < pilot or not last.virtual_time:  # all of it
        return macs
    wanted = float(_LONGEST if stop.rounds is None else stop.rounds)
    if stop.virtual_time is not None:
        wanted = min(wanted, last.round * stop.virtual_time / last.virtual_time)
    return macs * wanted / last.round


def expected_of(job: Job) -> tuple[str, float]:
    """A cell's id and its work; none for one that has no timing half, or cannot be run, which running it will say."""
    try:
        return job.cell, expected_macs(job.scenario, allow_code=job.allow_code)
    except FedTinyError:
        return job.cell, 0.0


def nothing_expected(job: Job) -> tuple[str, float]:
    """What is said of a cell whose process died."""
    return job.cell, 0.0
