"""The trials of a search as reports show them: in the order in which they were tried, each with its values and how it ended."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from fedtiny.reports.quantities import NONE, Scale, energy_scale, grams, joules, number, percent, seconds, size, size_scale, time_scale
from fedtiny.results.objectives import Objective, Quantity
from fedtiny.results.search import values_of
from fedtiny.results.sweep import Combination, SweepResult, combinations

_SCALES: Final[Mapping[Quantity, Callable[[float], Scale]]] = {
    "share": lambda _: Scale(0.01, "%"),
    "time": time_scale,
    "size": size_scale,
    "energy": energy_scale,
    "mass": lambda _: Scale(1.0, "g CO2e"),
    "number": lambda _: Scale(1.0, ""),
}
_WRITERS: Final[Mapping[Quantity, Callable[[float | None], str]]] = {
    "share": percent,
    "time": seconds,
    "size": size,
    "energy": joules,
    "mass": grams,
    "number": number,
}


@dataclass(frozen=True)
class Trial:
    """A combination that was tried: its number from 0, a value for each objective (None: has none), and whether no other beats it."""

    number: int
    combination: Combination
    values: tuple[float | None, ...]
    on_front: bool
    ending: str
    """done; or why it has no value: does not fit, failed, never there, not known, under way."""


def trials(sweep: SweepResult) -> list[Trial]:
    """All trials in their order; none of a sweep that is no search."""
    if sweep.search is None:
        return []
    wanted, seeds = sweep.search.wanted, len(sweep.seeds)
    found = []
    for cell in combinations(sweep):
        row = cell.rows[0]
        values = values_of(cell.rows if len(cell.rows) == seeds else (), wanted)
        found.append(Trial(row["trial"], cell, values, row["on_front"], _ending(cell, values, wanted, seeds)))
    return sorted(found, key=lambda trial: trial.number)


def tried_all(sweep: SweepResult) -> bool:
    """Whether nothing is left to try, so that a search has become the sweep of its grid."""
    return sweep.search is None or len(trials(sweep)) == sweep.search.combinations


def _ending(cell: Combination, values: tuple[float | None, ...], wanted: tuple[Objective, ...], seeds: int) -> str:
    statuses = {row["status"] for row in cell.rows}
    for status, ending in (("failed", "failed"), ("infeasible", "does not fit")):
        if status in statuses:
            return ending
    if len(cell.rows) < seeds:
        return "under way"
    if None not in values:
        return "done"
    missing = [one for one, value in zip(wanted, values, strict=True) if value is None]
    return "never there" if all(one.of_target for one in missing) else "not known"


def scale_of(objective: Objective, largest: float) -> Scale:
    """The unit for values of an objective up to this one."""
    return _SCALES[objective.quantity](largest)


def written(objective: Objective, value: float | None) -> str:
    """A value of an objective with its unit."""
    return NONE if value is None else _WRITERS[objective.quantity](value)


def titled(objective: Objective, scale: Scale) -> str:
    """What an objective is called, with its unit."""
    return f"{objective.label} ({scale.unit})" if scale.unit else objective.label
