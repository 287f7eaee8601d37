"""How long runs take on this machine: the first rounds of a real one, watched with a clock.

A pace is measured in one process with one thread of linear algebra, as every process of a sweep runs. It is what `fedtiny plan` says of a
sweep; no run reads it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from fedtiny import experiment
from fedtiny.remembered_training import remembering
from fedtiny.scenario.schema import Scenario
from fedtiny.simulated_clients import in_this_process
from fedtiny.training.journal import Journal
from fedtiny.training.one_thread import one_thread

Clock = Callable[[], float]
"""Seconds from some fixed instant, such as `time.perf_counter`."""

_FEWEST_ROUNDS: Final = 4
_LONG_ENOUGH: Final = 1.5
_LONGEST: Final = 8.0
_NO_END: Final = 1_000_000


@dataclass(frozen=True)
class Pace:
    """Seconds of this machine that a run takes."""

    start: float
    """Before its first round: data, network, first evaluation."""
    round: float
    """A round without evaluation."""
    evaluation: float
    """What a round takes longer that ends with one."""
    measured: int
    """Rounds that were watched."""

    def seconds(self, rounds: int, every: int) -> float:
        """A run of so many rounds, evaluated after each `every` of them."""
        return self.start + rounds * self.round + rounds // every * self.evaluation


class _Enough(BaseException):
    """Ends a run that was watched for long enough. Not an Exception, so that nobody takes it for a failed client."""


def measured_pace(
    scenario: Scenario, clock: Clock, *, journal: Path | None = None, most_rounds: int | None = None, allow_code: bool = False
) -> Pace:
    """Watches the first rounds of a run: at least four, for 1.5 s, with an evaluation among them, but not much longer than 8 s.

    `journal` is a folder for training that runs share, `most_rounds` another bound. Raises what `experiment.run` raises.
    """
    watch = _Watch(clock, scenario.evaluation.every)
    rounds = [number for number in (scenario.stop.rounds, most_rounds, _NO_END) if number is not None]
    short = scenario.stop.model_copy(update={"rounds": min(rounds), "target_accuracy": None})
    training = None if journal is None else remembering(in_this_process(), Journal(journal))
    with suppress(_Enough), one_thread():
        experiment.run(scenario.model_copy(update={"stop": short}), progress=watch, allow_code=allow_code, training=training)
    return watch.pace()


class _Watch:
    """Notes when rounds end."""

    def __init__(self, clock: Clock, every: int) -> None:
        self._clock = clock
        self._every = every
        self._begun = clock()
        self._start: float | None = None
        self._ends: list[float] = []

    def __call__(self, state: Any) -> None:
        if state.phase != "rounds":
            return
        now = self._clock()
        if self._start is None:
            self._start = now
        if state.done > 0:
            self._ends.append(now)
        if self._has_seen_enough(now - self._start):
            raise _Enough

    def _has_seen_enough(self, seconds: float) -> bool:
        rounds = len(self._ends)
        has_evaluated = rounds > self._every or self._every == 1
        return rounds >= _FEWEST_ROUNDS and (seconds > _LONGEST or (seconds > _LONG_ENOUGH and has_evaluated))

    def pace(self) -> Pace:
        """What was seen. The first round warms up, and does not count if there are others."""
        start = self._clock() if self._start is None else self._start
        before = [start, *self._ends]
        lasted = {number: end - before[number - 1] for number, end in enumerate(self._ends, start=1)}
        if len(lasted) > 1:
            del lasted[1]
        plain = [seconds for number, seconds in lasted.items() if number % self._every]
        evaluated = [seconds for number, seconds in lasted.items() if number % self._every == 0]
        of_round = median(plain or evaluated or [0.0])
        more = max(0.0, median(evaluated) - of_round) if plain and evaluated else 0.0
        return Pace(start - self._begun, of_round, more, len(self._ends))
