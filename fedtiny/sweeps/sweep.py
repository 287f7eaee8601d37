"""A sweep: every cell checked, then run, then one table of all of them.

Cells that are finished (their folder holds a done run of the same resolved scenario) are not run again. A cell that does
not fit the devices' memory is a result, a row with status infeasible. A cell that fails has status failed, and the
others go on. Training that several cells share is done once (`shared_training`), and the longest cells begin first.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pyarrow as pa

from fedtiny.errors import FolderError, ScenarioError
from fedtiny.results.folder import RUN_FILE, SCENARIO_FILE, is_same_scenario, read_status
from fedtiny.results.sweep import SweepResult, cells_schema, is_sweep, read_sweep, write_sweep
from fedtiny.scenario.files import resolved_yaml
from fedtiny.sweeps.axes import Cell, Sweep
from fedtiny.sweeps.cell import Job, Outcome, check_cell, lost_cell, run_cell
from fedtiny.sweeps.expected_work import expected_of, nothing_expected
from fedtiny.sweeps.local import Executor
from fedtiny.sweeps.shared_training import JournalOptions, JournalPlace, Turns, remove_journals, shared_journals
from fedtiny.trackers.destination import Destination, Logged
from fedtiny.trackers.live import prepare_for_several

ENDED: Final = ("done", "infeasible", "failed")
"""What can become of a cell in the end: the values of the column `status`."""

Tell = Callable[[Cell, Outcome], None]
"""Called with every cell and what became of it, as soon as it is known."""

Begins = Callable[[Sequence[Cell], Sequence[Cell], Mapping[str, float], Callable[[], int]], None]
"""Called once, when cells are checked and none has run: see `forecast.Forecast.begin`."""

_USUAL: Final = JournalOptions()
_NO_JOURNALS: Final[Mapping[str, JournalPlace]] = MappingProxyType({})


def run_sweep(
    sweep: Sweep,
    folder: Path,
    executor: Executor,
    *,
    allow_code: bool = False,
    tell: Tell | None = None,
    begins: Begins | None = None,
    journal: JournalOptions = _USUAL,
    resume: bool = False,
    log: Sequence[Destination] = (),
) -> SweepResult:
    """Runs every cell that is not finished, and writes the sweep's folder.

    `executor` does the work; every cell is checked before the first one runs. `journal` says how training that cells share is kept;
    left out: within its usual bound, until nobody needs it. `log` names other programs that are told of every run while it goes on.
    Raises InputError where a cell is wrong in another way than not fitting, the folder belongs to something else, or nothing is there
    to `resume`.
    """
    check_sweep_folder(folder, sweep.name, resume=resume)
    remove_halves(folder)

    def write(outcomes: Mapping[str, Outcome]) -> SweepResult:
        result = sweep_result(sweep, outcomes)
        write_sweep(result, folder)
        return result

    return write(
        outcomes_of(sweep, folder, executor, allow_code=allow_code, tell=tell, journal=journal, checked=write, begins=begins, log=log)
    )


def outcomes_of(
    sweep: Sweep,
    folder: Path,
    executor: Executor,
    *,
    allow_code: bool,
    tell: Tell | None,
    journal: JournalOptions,
    checked: Callable[[Mapping[str, Outcome]], object],
    begins: Begins | None = None,
    log: Sequence[Destination] = (),
) -> dict[str, Outcome]:
    """What becomes of every cell, by its id: found finished, or checked and run. `checked` is called before the first one runs.

    Raises ScenarioError where a cell is wrong in another way than not fitting.
    """
    book = _Book(sweep, folder, allow_code, tell, begins, tuple(log))
    book.find_finished()
    for outcome in executor(check_cell, book.jobs(book.unknown()), lost_cell):
        book.note(outcome)
    refuse_wrong(sweep, book.outcomes)
    checked(book.outcomes)
    _run_cells(book, executor, journal)
    return book.outcomes


@dataclass
class _Book:
    """What has become of every cell so far."""

    sweep: Sweep
    folder: Path
    allow_code: bool
    tell: Tell | None
    begins: Begins | None = None
    log: tuple[Destination, ...] = ()
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._cells = {cell.id: cell for cell in self.sweep.cells}

    def note(self, outcome: Outcome) -> None:
        self.outcomes[outcome.cell] = outcome
        if self.tell is not None and outcome.status in ENDED:
            self.tell(self._cells[outcome.cell], outcome)

    def find_finished(self) -> None:
        for cell in self._cells.values():
            if (outcome := finished(cell, cell_folder(self.folder, cell))) is not None:
                self.note(outcome)

    def unknown(self) -> list[Cell]:
        return [cell for cell in self._cells.values() if cell.id not in self.outcomes]

    def feasible(self) -> list[Cell]:
        return [cell for cell in self._cells.values() if self.outcomes[cell.id].status == "feasible"]

    def jobs(self, cells: Iterable[Cell], journals: Mapping[str, JournalPlace] = _NO_JOURNALS) -> list[Job]:
        return [self._job(cell, journals.get(cell.id)) for cell in cells]

    def _job(self, cell: Cell, journal: JournalPlace | None) -> Job:
        return Job(cell.id, cell.scenario, cell_folder(self.folder, cell), self.allow_code, journal, self.logged(cell))

    def logged(self, cell: Cell) -> Logged | None:
        """Where a cell is logged: under the sweep's name, called by its values on the axes."""
        name = ", ".join([*(f"{key}={value}" for key, value in cell.labels.items()), f"seed={cell.scenario.seed}", cell.id])
        return Logged(self.log, self.sweep.name, name) if self.log else None


def _run_cells(book: _Book, executor: Executor, options: JournalOptions) -> None:
    wanted = book.feasible()
    journals = shared_journals(wanted, book.folder, options, executor.at_once)
    turns = Turns(wanted, journals, options.keep)

    def then(ended: Outcome) -> list[Job]:
        return book.jobs(turns.after(ended.cell, done=ended.status == "done"), journals)

    if book.log:
        prepare_for_several(Logged(book.log, book.sweep.name, ""))
    first, work = _longest_first(turns.first(), book, executor)
    if book.begins is not None:
        book.begins(wanted, first, work, lambda: executor.at_once)
    for outcome in executor(run_cell, book.jobs(first, journals), lost_cell, then):
        book.note(outcome)
    if not (options.keep or any(outcome.status == "failed" for outcome in book.outcomes.values())):
        remove_journals(book.folder)


def _longest_first(cells: list[Cell], book: _Book, executor: Executor) -> tuple[list[Cell], dict[str, float]]:
    """Cells in the order of their expected work, and that, where some have to wait; with one process order changes nothing."""
    if not 1 < executor.at_once < len(cells):
        return cells, {}
    work = dict(executor(expected_of, book.jobs(cells), nothing_expected))
    return sorted(cells, key=lambda cell: -work[cell.id]), work


def check_sweep_folder(folder: Path, name: str, *, resume: bool = False) -> None:
    """Raises FolderError unless a sweep of this name may be written there: a sweep of that name is there or, unless it is to be resumed,
    nothing."""
    if is_sweep(folder):
        other = read_sweep(folder).name
        if other != name:
            raise FolderError(f"{folder} holds the sweep of another scenario, {other!r}: choose another --out")
    elif resume:
        raise FolderError(f"{folder} holds no sweep to go on with: leave out --resume, or name its folder with --out")
    elif folder.is_dir() and any(folder.iterdir()):
        what = "a run" if (folder / RUN_FILE).is_file() else "something that is not a sweep"
        raise FolderError(f"{folder} holds {what}: choose another --out for the sweep")
    elif folder.exists() and not folder.is_dir():
        raise FolderError(f"{folder} is a file: choose another --out for the sweep")


def remove_halves(folder: Path) -> None:
    """Deletes the run folders that a process was writing when it was killed: nobody writes here before the sweep begins."""
    for half in folder.glob("cells/.*.new"):
        shutil.rmtree(half, ignore_errors=True)


def finished(cell: Cell, folder: Path) -> Outcome | None:
    """The outcome of a cell that was run before, or None if it has to run."""
    try:
        run = read_status(folder)
        same = is_same_scenario((folder / SCENARIO_FILE).read_text(encoding="utf-8"), resolved_yaml(cell.scenario))
    except (FolderError, OSError):
        return None
    return Outcome(cell.id, "done", summary=run["summary"]) if same and run["status"] == "done" else None


def cell_folder(folder: Path, cell: Cell) -> Path:
    """The run folder of a cell."""
    return folder / "cells" / cell.id


def refuse_wrong(sweep: Sweep, outcomes: Mapping[str, Outcome]) -> None:
    """Raises ScenarioError, with file and line, for the first cell that is wrong."""
    for cell in sweep.cells:
        outcome = outcomes[cell.id]
        if outcome.status == "wrong":
            raise ScenarioError(cell.sources.explain(outcome.reason, outcome.path), outcome.path)


def sweep_result(sweep: Sweep, outcomes: Mapping[str, Outcome]) -> SweepResult:
    """The sweep with a row for every cell that has come to an end."""
    schema = cells_schema(tuple(axis.key for axis in sweep.axes))
    rows = [_row(cell, outcomes[cell.id], schema) for cell in sweep.cells if cell.id in outcomes and outcomes[cell.id].status in ENDED]
    return SweepResult(
        name=sweep.name,
        axes={axis.key: axis.labels for axis in sweep.axes},
        seeds=sweep.seeds,
        target_accuracy=sweep.target_accuracy,
        scenario_yaml=sweep.scenario_yaml,
        cells=pa.Table.from_pylist(rows, schema=schema),
        folders={cell.id: cell_folder(Path(), cell).as_posix() for cell in sweep.cells},
    )


def _row(cell: Cell, outcome: Outcome, schema: pa.Schema) -> dict[str, object]:
    said = {"cell": cell.id, **cell.labels, "seed": cell.scenario.seed, "status": outcome.status}
    return {name: said.get(name, outcome.summary.get(name)) for name in schema.names}
