"""What a sweep searched for, and which of its trials are best.

A trial is one combination of values with all its seeds. Its values are means over the seeds (`objectives`); the trials that no other
beats are the Pareto front, which with one objective is the best trial, or several that are equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fedtiny.errors import InputError
from fedtiny.results.objectives import Objective, objectives_of
from fedtiny.results.pareto_front import as_losses, on_front
from fedtiny.results.record import Citation


@dataclass(frozen=True)
class Search:
    """How a search went about it: the names of its objectives, how many trials it was to try at most, how many it tried at a time, how many
    combinations there are, what proposed trials, from which seed, and the works to cite for it."""

    objectives: tuple[str, ...]
    trials: int
    batch: int
    combinations: int
    sampler: str
    library: str
    seed: int
    citations: tuple[Citation, ...]

    @property
    def wanted(self) -> tuple[Objective, ...]:
        """The objectives themselves."""
        return objectives_of(self.objectives)

    def to_plain(self) -> dict[str, Any]:
        """As sweep.json states it."""
        return asdict(self)


def search_of(document: Mapping[str, Any]) -> Search:
    """The search that sweep.json states; raises InputError where it is none."""
    try:
        plain = {**document, "objectives": tuple(document["objectives"]), "citations": tuple(document["citations"])}
        found = Search(**plain)
    except (KeyError, TypeError) as error:
        raise InputError(f"its search cannot be read ({error})") from None
    objectives_of(found.objectives)
    return found


def values_of(rows: Sequence[Mapping[str, Any]], objectives: Sequence[Objective]) -> tuple[float | None, ...]:
    """A value for each objective from the rows of one combination, one row a seed; None where not every seed has one."""
    return tuple(objective.mean(rows) for objective in objectives)


def best_of(values: Sequence[Sequence[float | None]], objectives: Sequence[Objective]) -> list[bool]:
    """Which of the trials are on the front, from their values."""
    turned = [[None if value is None else one.loss(value) for one, value in zip(objectives, trial, strict=True)] for trial in values]
    return on_front(as_losses(turned, len(objectives)))
