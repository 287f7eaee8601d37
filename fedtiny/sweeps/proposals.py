"""Which combination a search tries next, from what came of those before: Optuna (Akiba et al., KDD 2019) with its tree-structured Parzen
estimator (Bergstra et al., NIPS 2011; several objectives: Ozaki et al., Journal of Artificial Intelligence Research 73, 2022).

Proposals come in batches of a fixed size, and nothing is told before all of a batch have ended: so they depend on the seed, the axes and
what came of the trials, and neither on the number of processes nor on which of them is first. A search that was killed proposes the same
again. No combination is proposed twice.

A trial that has no value is no number in disguise: it violates a constraint, by how much puts it after all that have values, and in order
among its like (Optuna's own rule for constraints). One that failed says nothing.

Optuna is an optional extra, imported here alone: `pip install 'fedtiny[optimize]'`.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import prod
from typing import Any, Final

from fedtiny.errors import InputError
from fedtiny.randomness import Streams
from fedtiny.results.objectives import Direction

SAMPLER: Final = "tree-structured Parzen estimator"
STARTUP_TRIALS: Final = 10
"""Drawn at random before the estimator begins."""
_TRIES: Final = 20
_SEED_BITS: Final = 32

Place = tuple[int, ...]
"""A combination: for each axis, which of its values."""


@dataclass(frozen=True)
class Dimension:
    """An axis as a search sees it: its key, and the places of its values in ascending order, or in any if they have none."""

    key: str
    places: tuple[int, ...]
    is_ordered: bool


@dataclass(frozen=True)
class Verdict:
    """What came of a trial: a value for each objective; or by how much it fails to have them (> 0); or nothing, if it failed."""

    values: tuple[float, ...] | None = None
    violation: float | None = None


def optuna_version() -> str:
    """The version of Optuna; raises InputError, which says how to install it, where it is missing."""
    return f"Optuna {version(_optuna().__name__)}"


class Proposals:
    """Asked for places, told what came of them."""

    def __init__(self, dimensions: Sequence[Dimension], directions: Sequence[Direction], seed: int) -> None:
        """Raises InputError without Optuna."""
        self._optuna = _optuna()
        self._dimensions = tuple(dimensions)
        streams = Streams(seed)
        sampler = self._optuna.samplers.TPESampler(
            seed=streams.integer("search", "estimator") % 2**_SEED_BITS,
            n_startup_trials=STARTUP_TRIALS,
            multivariate=len(directions) == 1,
            constant_liar=True,
        )
        self._study = self._optuna.create_study(directions=list(directions), sampler=sampler)
        self._plain = random.Random(streams.integer("search", "untried"))
        self._trials: dict[Place, Any] = {}

    @property
    def combinations(self) -> int:
        """How many there are."""
        return prod(len(dimension.places) for dimension in self._dimensions)

    def ask(self, number: int) -> list[Place]:
        """So many places that nobody has asked for before; fewer when there are no more."""
        return [self._next() for _ in range(min(number, self.combinations - len(self._trials)))]

    def tell(self, place: Place, verdict: Verdict) -> None:
        """What came of a place that was asked for."""
        trial, state = self._trials[place], self._optuna.trial.TrialState
        if verdict.violation is not None:
            trial.set_constraint("has a value", verdict.violation)
            self._study.tell(trial, state=state.PRUNED)
        elif verdict.values is None:
            self._study.tell(trial, state=state.FAIL)
        else:
            self._study.tell(trial, list(verdict.values))

    def _next(self) -> Place:
        for _ in range(_TRIES):
            trial = self._study.ask(self._distributions())
            place = self._place(trial)
            if place not in self._trials:
                break
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            # the estimator is sure of what it knows already: go where nobody was
            self._study.enqueue_trial(self._untried())
            trial = self._study.ask(self._distributions())
            place = self._place(trial)
        self._trials[place] = trial
        return place

    def _distributions(self) -> dict[str, Any]:
        kinds = self._optuna.distributions
        return {
            one.key: kinds.IntDistribution(0, len(one.places) - 1)
            if one.is_ordered
            else kinds.CategoricalDistribution(tuple(range(len(one.places))))
            for one in self._dimensions
        }

    def _place(self, trial: Any) -> Place:
        return tuple(one.places[trial.params[one.key]] for one in self._dimensions)

    def _untried(self) -> dict[str, int]:
        """Any combination that was not asked for, all of them equally likely."""
        number = self._plain.randrange(self.combinations - len(self._trials))
        for taken in sorted(map(self._number, self._trials)):
            number += taken <= number
        found = {}
        for one in reversed(self._dimensions):
            number, found[one.key] = divmod(number, len(one.places))
        return found

    def _number(self, place: Place) -> int:
        """Places counted from 0, the last axis fastest."""
        number = 0
        for one, value in zip(self._dimensions, place, strict=True):
            number = number * len(one.places) + one.places.index(value)
        return number


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise InputError(f"--optimize needs {error.name}, which is not installed: pip install 'fedtiny[optimize]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
