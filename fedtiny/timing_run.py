"""A run without learning: the same devices, messages and times, and nothing in the messages.

The strategy's timing half runs on an Exchange; what a client does with an instruction is foreseen from its class, its course and
the plan. What comes of it are the activities of the run with learning, up to the same round.
"""

import gc
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from math import inf
from typing import Final

from fedtiny.battery_drain import drains
from fedtiny.device_classes import TimedFleet, timed_fleet
from fedtiny.errors import ScenarioError
from fedtiny.federation.foresight import Course
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.connection import place_server
from fedtiny.simulation.device import Execution
from fedtiny.simulation.exchange import Exchange, Instruction, Participation, TimeIsUp
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import Trace
from fedtiny.strategies.asynchronous import oldest_reply_of
from fedtiny.strategies.message_forms import Forms
from fedtiny.strategies.timing import Foresee, Terms
from fedtiny.strategies.timings import timing_of
from fedtiny.training.optimizer import steps_along_the_gradient

ENDLESS: Final = 2**31
_YOUNG: Final = 200_000

Progress = Callable[[int, float], None]
"""(round done, virtual seconds) -> None."""


@dataclass(frozen=True)
class TimedVersion:
    """One version of the global model: when the server held it and who made it; bytes by cause, as in recording.Version."""

    round: int
    virtual_time: float
    participation: Participation
    bytes_up: int
    bytes_down: int
    begun: int
    """How many activities had begun when the version was made."""
    last_device: int | None
    """The device whose reply the server waited for last; None where a timeout ended the wait, or nobody was waited for."""
    delay: int | None
    """D of the round in local steps; None for strategies without one."""


@dataclass
class TimedRun:
    """What happened, without learning."""

    fleet: TimedFleet
    trace: Trace
    versions: list[TimedVersion] = field(default_factory=list)
    end: float = 0.0


def run_timing(scenario: Scenario, *, allow_code: bool = False, progress: Progress | None = None) -> TimedRun:
    """Runs a scenario's timing half.

    Raises ScenarioError where the strategy has none or nothing but learning would end the run, what `prepare` raises where
    training does not fit, and RoundError if nobody answers in a round.
    """
    _check(scenario)
    fleet = timed_fleet(scenario, allow_code=allow_code)
    timing, stop, streams = timing_of(scenario.strategy.kind), scenario.stop, fleet.blueprint.streams
    forms = Forms(fleet.elements, scenario.training.precision)
    run = TimedRun(fleet, Trace())
    lifetime = scenario.strategy.message_lifetime
    roll = RollCall(scenario.fleet, streams, fleet.numbers, drains(scenario, fleet.blueprint.fleet))
    exchange = Exchange(
        fleet.traits,
        _Clients(fleet, forms, timing.foresee).effort,
        streams,
        run.trace,
        lifetime=inf if lifetime is None else lifetime,
        horizon=inf if stop.virtual_time is None else stop.virtual_time,
        most_staleness=oldest_reply_of(scenario.strategy),
        roll=roll,
    )
    place_server(exchange.environment, scenario.server)
    terms = Terms(
        nodes=fleet.numbers,
        # Flower's strategies draw from Python's global generator, which a run seeds so
        sample=random.Random(streams.integer("cohort")).sample,
        local_steps=scenario.training.local_steps,
        rounds=ENDLESS if stop.rounds is None else stop.rounds,
        learning_rate=scenario.training.optimizer.learning_rate,
        sums_updates=not steps_along_the_gradient(scenario.training.optimizer),
        forms=forms,
        on_version=lambda number, delay=None: _note(run, exchange, number, delay, progress),
    )
    with suppress(TimeIsUp), _rare_collection():
        timing.run(scenario.strategy, exchange, terms)
    run.end = exchange.now
    run.trace.cut(run.end)
    run.trace.batteries = roll.accounts(run.end)
    return run


@contextmanager
def _rare_collection() -> Iterator[None]:
    """Looks for cyclic garbage rarely: ten thousand messages under way are many objects to look through, and no garbage."""
    before = gc.get_threshold()
    gc.set_threshold(_YOUNG, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _check(scenario: Scenario) -> None:
    timing_of(scenario.strategy.kind)
    if scenario.sweep:
        raise ScenarioError(
            "this scenario has axes to sweep over: plan one of them (--set sweep=null and what it sweeps), or use `fedtiny sweep`",
            ("sweep",),
        )
    if scenario.stop.rounds is None and scenario.stop.virtual_time is None:
        raise ScenarioError(
            "without learning there is no accuracy, so target_accuracy alone never ends the run: give rounds or virtual_time beside it, "
            "such as --set stop.rounds=20",
            ("stop", "target_accuracy"),
        )


def _note(run: TimedRun, exchange: Exchange, number: int, delay: int | None, progress: Progress | None) -> None:
    participation = exchange.close_round(number) if number else Participation(0, 0)
    trace = run.trace
    trace.charges += [] if exchange.roll is None else exchange.roll.charges(number, exchange.now)
    version = TimedVersion(number, exchange.now, participation, trace.bytes_up, trace.bytes_down, trace.begun, exchange.last_arrival, delay)
    run.versions.append(version)
    if progress is not None:
        progress(number, exchange.now)


class _Clients:
    """What devices do with instructions: a course for each, and the costs of work that is alike worked out once."""

    def __init__(self, fleet: TimedFleet, forms: Forms, foresee: Foresee) -> None:
        self._fleet, self._foresee = fleet, foresee
        self._courses: dict[int, Course] = {}
        self._executions: dict[tuple[int, int, int, int, bool], Execution] = {}
        self._work_of = cache(self._own_work) if fleet.population is not None else self._work_of_its_class
        self._of_class = cache(lambda place: self._own_work(fleet.classes[place].first))
        summary = fleet.blueprint.summary
        self._replies = [
            (forms.reply(None), forms.reply(item.one.plan.trainable_elements(summary) if item.one.fits else None)) for item in fleet.classes
        ]

    def effort(self, number: int, instruction: Instruction) -> tuple[Execution, bool]:
        """See `exchange.Effort`."""
        course = self._courses.get(number)
        if course is None:
            course = self._courses[number] = Course(pace=self._fleet.pace_of(number))
        (place, examples, per_epoch, speed), first = self._work_of(number), course.steps
        foresight = self._foresee(instruction, course)
        key = (place, examples, first % per_epoch, foresight.steps, foresight.carries_arrays)
        execution = self._executions.get(key)
        if execution is None:
            execution = self._executions[key] = self._execution(*key)
        own = execution if speed == 1.0 else replace(execution, seconds=execution.seconds / speed)
        return own, foresight.carries_arrays

    def _own_work(self, number: int) -> tuple[int, int, int, float]:
        """Class, examples, batches an epoch and speed of a device."""
        place, examples = self._fleet.place_of(number), self._fleet.examples_of(number)
        return place, examples, self._fleet.batch_sizes(place, examples).per_epoch, self._fleet.speed_of(number)

    def _work_of_its_class(self, number: int) -> tuple[int, int, int, float]:
        """The same of a group's device, without keeping anything for it: its class is alike."""
        return self._of_class(self._fleet.place_of(number))

    def _execution(self, place: int, examples: int, first: int, steps: int, carries_arrays: bool) -> Execution:
        """As `DeferredClients` charges it: batch n of an epoch is as large as batch n of any other."""
        cost = self._fleet.cost(place, examples, first, steps)
        size, payload = self._replies[place][carries_arrays]
        return Execution(cost.computing, cost.macs, size, payload, paging=cost.paging)
