"""Which way of training clients suits this machine, for a scenario's network, update and sizes (training/cohort_measurement.py).

What is found are keys for `training.cohort`: whoever puts them into the scenario makes them part of it. A run reads no measurement.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

from fedtiny.flower_app import learners_of
from fedtiny.preparation import prepare
from fedtiny.scenario.schema import Scenario
from fedtiny.training.cohort_measurement import Clock, MeasuredCohort, measure_cohorts, suits
from fedtiny.training.cohort_rules import Cohort
from fedtiny.training.one_thread import one_thread

_MOST_CLIENTS = 64


@one_thread()
def calibrate_cohorts(scenario: Scenario, clock: Clock, *, turns: int = 5, allow_code: bool = False) -> tuple[list[MeasuredCohort], Cohort]:
    """Measures with the scenario's own clients, at most 64 of them: every way, one by one first, and the one that suits."""
    world = prepare(scenario, allow_code=allow_code)
    numbers = list(world.participants.numbers[:_MOST_CLIENTS])
    steps = scenario.training.local_steps
    measured = measure_cohorts(world.flat, cache(learners_of(world)), numbers, steps=steps, clock=clock, turns=turns)
    return list(measured), suits(measured)


def cohort_rows(measured: Sequence[MeasuredCohort], chosen: Cohort) -> list[dict[str, Any]]:
    """One row for every way."""
    return [
        {
            "execution": each.cohort.execution,
            "clients": each.cohort.clients,
            "ms a client": round(each.seconds * 1e3, 3),
            "times as fast": round(each.ratio, 2),
            "suits": "*" if each.cohort == chosen else "",
        }
        for each in measured
    ]


def cohort_document(measured: Sequence[MeasuredCohort], chosen: Cohort) -> dict[str, Any]:
    """All of it, and the keys that suit."""
    ways = [{**each.cohort.to_plain(), "seconds": each.seconds, "ratio": each.ratio} for each in measured]
    return {"ways": ways, "training": {"cohort": chosen.to_plain()}}
