"""What a sweep would take on this machine, before it begins: rounds from the timing half of every combination, seconds from watching
the first rounds of one cell of every kind (`host_time`), and the whole by running the cells' order through (`shared_training.Turns`).

Cells are of a kind where they learn alike but for their seeds. A cell whose group another one has trained before is watched with a
journal, so that what it still trains itself is counted.
"""

import heapq
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from fedtiny.errors import ScenarioError
from fedtiny.reports.quantities import NONE, number, seconds
from fedtiny.sweeps.axes import Cell, Sweep
from fedtiny.sweeps.cell import Job, check_cell
from fedtiny.sweeps.host_time import Clock, Pace, measured_pace
from fedtiny.sweeps.shared_training import JournalOptions, Turns, learning_group, shared_journals
from fedtiny.timing_run import run_timing

_NOWHERE: Final = Path("no folder of a sweep")

Tell = Callable[[int, int], None]
"""(combinations looked at, all of them) -> None."""


@dataclass(frozen=True)
class Estimate:
    """One combination of a sweep's values: what each of its runs would take; None for what does not fit."""

    labels: dict[str, str]
    runs: int
    fits: bool
    rounds: int | None = None
    virtual_time: float | None = None
    first: float | None = None
    """Seconds of this machine, where the run trains all of it itself."""
    again: float | None = None
    """The same, where another run of its group has trained before; None for one that is alone."""


@dataclass(frozen=True)
class SweepPlan:
    """All combinations, and the whole sweep."""

    name: str
    estimates: tuple[Estimate, ...]
    workers: int
    host_seconds: float
    """From the beginning to the end on so many processes of this machine."""
    processor_seconds: float
    """Of all runs together."""

    @property
    def document(self) -> dict[str, Any]:
        """The document of `fedtiny plan --json`: plain numbers in base units."""
        names = {"first": "host_seconds", "again": "host_seconds_after_training"}
        rows = [{names.get(key, key): value for key, value in vars(one).items()} for one in self.estimates]
        totals = {"workers": self.workers, "host_seconds": self.host_seconds, "processor_seconds": self.processor_seconds}
        return {"scenario": self.name, "runs": sum(one.runs for one in self.estimates), **totals, "combinations": rows}

    @property
    def rows(self) -> list[dict[str, str]]:
        """The combinations as rows of texts with units."""
        return [
            one.labels
            | {
                "runs": str(one.runs),
                "rounds": number(one.rounds) if one.fits else "does not fit",
                "virtual_time": seconds(one.virtual_time),
            }
            | {"takes_here": seconds(one.first), "after_training": NONE if one.again is None else seconds(one.again)}
            for one in self.estimates
        ]


def plan_sweep(
    sweep: Sweep, workers: int, *, allow_code: bool = False, tell: Tell = lambda done, total: None, clock: Clock = time.perf_counter
) -> SweepPlan:
    """Estimates a sweep on so many processes of this machine.

    Raises ScenarioError where a cell is wrong in another way than not fitting, as `run_sweep` does, and what timing and running raise.
    """
    alike: dict[tuple[str, ...], list[Cell]] = {}
    for cell in sweep.cells:
        alike.setdefault(tuple(cell.labels.values()), []).append(cell)
    fitting = {labels: cells for labels, cells in alike.items() if _fits(cells[0], allow_code)}
    paces = _Paces([cell for cells in fitting.values() for cell in cells], allow_code, clock)
    estimates = {}
    for done, (labels, cells) in enumerate(alike.items()):
        tell(done, len(alike))
        estimates[labels] = _estimate(cells, paces, allow_code) if labels in fitting else Estimate(cells[0].labels, len(cells), fits=False)
    costs = {cell.id: estimates[labels] for labels, cells in fitting.items() for cell in cells}
    spent, whole = run_through([cell for cells in fitting.values() for cell in cells], costs, workers)
    return SweepPlan(sweep.name, tuple(estimates.values()), workers, whole, spent)


def _fits(cell: Cell, allow_code: bool) -> bool:
    outcome = check_cell(Job(cell.id, cell.scenario, _NOWHERE, allow_code))
    if outcome.status == "wrong":
        raise ScenarioError(cell.sources.explain(outcome.reason, outcome.path), outcome.path)
    return outcome.status == "feasible"


def _estimate(cells: Sequence[Cell], paces: "_Paces", allow_code: bool) -> Estimate:
    scenario = cells[0].scenario
    timed = run_timing(scenario.model_copy(update={"learning": "none"}), allow_code=allow_code)
    rounds, every = timed.versions[-1].round, scenario.evaluation.every
    first, again = paces.of(cells[0])
    return Estimate(
        cells[0].labels,
        len(cells),
        fits=True,
        rounds=rounds,
        virtual_time=timed.versions[-1].virtual_time,
        first=first.seconds(rounds, every),
        again=None if again is None else again.seconds(rounds, every),
    )


@dataclass
class _Paces:
    """The paces of every kind of cell, each measured when it is asked for."""

    cells: Sequence[Cell]
    allow_code: bool
    clock: Clock
    _known: dict[str, tuple[Pace, Pace | None]] = field(default_factory=dict, init=False)

    def of(self, cell: Cell) -> tuple[Pace, Pace | None]:
        """Of a cell that trains itself, and of one whose group has trained before."""
        kind = _kind(cell)
        if kind not in self._known:
            self._known[kind] = self._measured(cell)
        return self._known[kind]

    def _measured(self, cell: Cell) -> tuple[Pace, Pace | None]:
        group = learning_group(cell.scenario)
        other = next((one for one in self.cells if one.id != cell.id and learning_group(one.scenario) == group), None)
        if other is None:
            return measured_pace(cell.scenario, self.clock, allow_code=self.allow_code), None
        with tempfile.TemporaryDirectory() as journal:
            first = measured_pace(cell.scenario, self.clock, journal=Path(journal), allow_code=self.allow_code)
            again = measured_pace(other.scenario, self.clock, journal=Path(journal), most_rounds=first.measured, allow_code=self.allow_code)
        return first, again


def _kind(cell: Cell) -> str:
    return learning_group(cell.scenario.model_copy(update={"seed": 0}))


def run_through(cells: Sequence[Cell], costs: Mapping[str, Estimate], workers: int) -> tuple[float, float]:
    """Seconds of all runs together, and from the first one's beginning to the last one's end."""
    journals = shared_journals(cells, _NOWHERE, JournalOptions(), workers)
    turns, trained = Turns(cells, journals, keep=True), set[Path]()
    waiting = sorted(turns.first(), key=lambda cell: -(costs[cell.id].first or 0.0))
    running: list[tuple[float, int, Cell]] = []
    spent, now, order = 0.0, 0.0, count()
    while waiting or running:
        while waiting and len(running) < workers:
            cell = waiting.pop(0)
            cost, place = costs[cell.id], journals.get(cell.id)
            lasts = (cost.again if place is not None and place.folder in trained else cost.first) or 0.0
            spent += lasts
            heapq.heappush(running, (now + lasts, next(order), cell))
        now, _, cell = heapq.heappop(running)
        if cell.id in journals:
            trained.add(journals[cell.id].folder)
        waiting = [*turns.after(cell.id, done=True), *waiting]
    return spent, now
