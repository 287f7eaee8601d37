"""A search: a sweep that tries some combinations of its axes, each chosen by what came of those before.

A trial is one combination with all its seeds. Trials are cells like any other: in the same folder, found again by their content, one row
each in cells.parquet. They are proposed in batches (`proposals`), and proposals depend on what came of trials alone. So the same search
tries the same, on however many processes, and one that was killed goes on where it was.

A trial without a value is never given a number. What never reached its target is worse than whatever did, the worse the more accuracy it
lacks at its end; what does not fit the memory of its devices, or has an objective that nobody can measure, is worse than that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from fedtiny.errors import ScenarioError
from fedtiny.results.objectives import Objective
from fedtiny.results.search import Search, best_of, values_of
from fedtiny.results.sweep import SweepResult, cells_schema, write_sweep
from fedtiny.scenario.citations import search_citations
from fedtiny.scenario.tree import KeyPath
from fedtiny.sweeps.axes import Cell, Sweep
from fedtiny.sweeps.cell import Job, Outcome, check_cell, lost_cell
from fedtiny.sweeps.local import Executor
from fedtiny.sweeps.proposals import SAMPLER, Place, Proposals, Verdict, optuna_version
from fedtiny.sweeps.search_space import SearchSpace
from fedtiny.sweeps.shared_training import JournalOptions
from fedtiny.sweeps.sweep import Tell, cell_folder, check_sweep_folder, outcomes_of, refuse_wrong, remove_halves, sweep_result

BATCH: Final = 4
"""Trials at a time, unless somebody says another number."""

_NEVER_KNOWN: Final = 2.0
"""More than any accuracy that a target can lack."""


@dataclass(frozen=True)
class SearchOrder:
    """What to search for, in how many trials at most, and how many of them are proposed at a time."""

    objectives: tuple[Objective, ...]
    trials: int
    batch: int = BATCH


def run_search(
    space: SearchSpace,
    order: SearchOrder,
    folder: Path,
    executor: Executor,
    *,
    allow_code: bool = False,
    tell: Tell | None = None,
    journal: JournalOptions | None = None,
    resume: bool = False,
) -> SweepResult:
    """Tries combinations until there are enough trials, or no further combination; writes the sweep's folder after every batch.

    The arguments are those of `sweep.run_sweep`. Raises InputError also where Optuna is missing, and where runs of this scenario have no
    such objective.
    """
    diary = _Diary(space, order, folder)
    proposals = Proposals(space.dimensions, [one.direction for one in order.objectives], space.first.scenario.seed)
    check_sweep_folder(folder, space.name, resume=resume)
    remove_halves(folder)
    _check_samples(space, order, executor, allow_code)
    while places := proposals.ask(min(order.batch, order.trials - len(diary.trials))):
        batch = diary.begin(places)
        outcomes = outcomes_of(
            batch, folder, executor, allow_code=allow_code, tell=tell, journal=journal or JournalOptions(), checked=diary.write
        )
        diary.write(outcomes)
        for place in places:
            proposals.tell(place, diary.verdict(place))
    return diary.result()


class _Diary:
    """The trials so far and what became of them."""

    def __init__(self, space: SearchSpace, order: SearchOrder, folder: Path) -> None:
        self.trials: dict[Place, list[Cell]] = {}
        self._space, self._order, self._folder = space, order, folder
        self._outcomes: dict[str, Outcome] = {}
        self._how = Search(
            objectives=tuple(one.name for one in order.objectives),
            trials=order.trials,
            batch=order.batch,
            combinations=space.combinations,
            sampler=SAMPLER,
            library=optuna_version(),
            seed=space.first.scenario.seed,
            citations=tuple(search_citations(len(order.objectives))),
        )

    def begin(self, places: Sequence[Place]) -> Sweep:
        """The cells of further trials, as a sweep. Raises ScenarioError where one cannot have the objectives."""
        cells = {place: self._space.cells(place) for place in places}
        for cell in (one for found in cells.values() for one in found):
            check_objectives(cell, self._order.objectives)
        self.trials |= cells
        return self._space.sweep([cell for found in cells.values() for cell in found])

    def write(self, outcomes: Mapping[str, Outcome]) -> None:
        """Writes the sweep's folder with what is known by now."""
        self._outcomes |= outcomes
        write_sweep(self.result(), self._folder)

    def result(self) -> SweepResult:
        """The sweep with a row for every cell that has come to an end, its trial, and whether that is on the front."""
        cells = [cell for found in self.trials.values() for cell in found]
        plain = sweep_result(self._space.sweep(cells), self._outcomes)
        numbers = {tuple(found[0].labels.values()): number for number, found in enumerate(self.trials.values())}
        rows = [{**row, "trial": numbers[tuple(row[axis] for axis in plain.axes)]} for row in plain.cells.to_pylist()]
        best = self._best(rows)
        marked = [{**row, "on_front": row["trial"] in best} for row in rows]
        schema = cells_schema(tuple(plain.axes), searched=True)
        return replace(plain, cells=pa.Table.from_pylist(marked, schema=schema), search=self._how)

    def _best(self, rows: Sequence[Mapping[str, Any]]) -> set[int]:
        """The trials on the front, of those whose seeds have all ended."""
        by_trial: dict[int, list[Mapping[str, Any]]] = {}
        for row in rows:
            by_trial.setdefault(row["trial"], []).append(row)
        whole = {trial: own for trial, own in by_trial.items() if len(own) == self._space.seeds}
        best = best_of([values_of(own, self._order.objectives) for own in whole.values()], self._order.objectives)
        return {trial for trial, is_best in zip(whole, best, strict=True) if is_best}

    def verdict(self, place: Place) -> Verdict:
        """What came of a trial that has ended."""
        cells = self.trials[place]
        found = [self._outcomes[cell.id] for cell in cells]
        if any(one.status == "failed" for one in found):
            return Verdict()
        if any(one.status == "infeasible" for one in found):
            return Verdict(violation=_NEVER_KNOWN)
        summaries = [one.summary for one in found]
        return verdict(values_of(summaries, self._order.objectives), self._order.objectives, summaries)


def verdict(values: Sequence[float | None], objectives: Sequence[Objective], summaries: Sequence[Mapping[str, Any]]) -> Verdict:
    """What a search is told of a trial that is done, from its values (None: has none) and the summaries of its runs, one for each seed."""
    known = tuple(value for value in values if value is not None)
    if len(known) == len(values):
        return Verdict(values=known)
    if any(value is None and not one.of_target for value, one in zip(values, objectives, strict=True)):
        return Verdict(violation=_NEVER_KNOWN)
    return Verdict(violation=sum(map(_lacking, summaries)) / len(summaries))


def _lacking(summary: Mapping[str, Any]) -> float:
    """The accuracy that a run lacks at its end to its target; none if it has reached it."""
    if summary.get("time_to_target") is not None:
        return 0.0
    return float(max(0.0, summary["target_accuracy"] - (summary["accuracy"] or 0.0)))


def check_objectives(cell: Cell, objectives: Sequence[Objective]) -> None:
    """Raises ScenarioError where runs of a scenario cannot have one of these objectives."""
    for one in objectives:
        if one.of_target and cell.scenario.stop.target_accuracy is None:
            path: KeyPath = ("stop",)
            problem = "stop.target_accuracy says which: give it one, such as 0.8"
        elif one.of_learning and cell.scenario.learning != "real":
            path = ("learning",)
            problem = f"learning is {cell.scenario.learning}: nothing is learned in these runs"
        else:
            continue
        raise ScenarioError(cell.sources.explain(f"--optimize {one.name} needs an accuracy, and {problem}", path), path)


def _check_samples(space: SearchSpace, order: SearchOrder, executor: Executor, allow_code: bool) -> None:
    """Raises ScenarioError for what is wrong with the values of the axes, before the first trial."""
    cells = [space.cells(place)[0] for place in space.samples()]
    for cell in cells:
        check_objectives(cell, order.objectives)
    jobs = [Job(cell.id, cell.scenario, cell_folder(Path(), cell), allow_code) for cell in {cell.id: cell for cell in cells}.values()]
    refuse_wrong(space.sweep(cells), {outcome.cell: outcome for outcome in executor(check_cell, jobs, lost_cell)})
