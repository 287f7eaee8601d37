"""A cell of a sweep, as a process sees it: a job comes, an outcome goes back."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fedtiny.errors import FedTinyError, InfeasibleError
from fedtiny.preparation import check
from fedtiny.remembered_training import remembering
from fedtiny.scenario.files import place_of
from fedtiny.scenario.schema import Scenario
from fedtiny.scenario.tree import KeyPath
from fedtiny.simulated_clients import in_this_process
from fedtiny.sweeps.run_folder import reason_of, run_into
from fedtiny.sweeps.shared_training import JournalPlace
from fedtiny.trackers.destination import Logged
from fedtiny.training.journal import Journal

Status = Literal["feasible", "wrong", "done", "infeasible", "failed"]
"""feasible, wrong and infeasible come of checking a cell, done and failed of running it."""


@dataclass(frozen=True)
class Job:
    """A cell's id and scenario, the folder of its run, whether the user's own code may run, the journal that it shares, and where it is
    logged."""

    cell: str
    scenario: Scenario
    folder: Path
    allow_code: bool = False
    journal: JournalPlace | None = None
    logged: Logged | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of a cell; `summary` is the run's, empty unless it is done; `path` is where a wrong cell is wrong; `host_seconds` is how
    long its process took, None unless it ran now."""

    cell: str
    status: Status
    summary: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    path: KeyPath = ()
    host_seconds: float | None = None


def check_cell(job: Job) -> Outcome:
    """Whether a cell can run: feasible, infeasible, or wrong in another way."""
    try:
        check(job.scenario, allow_code=job.allow_code)
    except InfeasibleError as error:
        return Outcome(job.cell, "infeasible", reason=str(error), path=error.path)
    except FedTinyError as error:
        return Outcome(job.cell, "wrong", reason=str(error), path=place_of(error))
    return Outcome(job.cell, "feasible")


def run_cell(job: Job) -> Outcome:
    """Runs a cell into its folder; what goes wrong is an outcome, so that the others go on."""
    begun = time.perf_counter()
    try:
        journal = None if job.journal is None else Journal(job.journal.folder, job.journal.most_bytes)
        training = None if journal is None else remembering(in_this_process(), journal)
        result = run_into(job.folder, job.scenario, overwrite=True, allow_code=job.allow_code, training=training, logged=job.logged)
    except Exception as error:  # noqa: BLE001  one cell must not end the sweep, whatever its error is
        return Outcome(job.cell, "failed", reason=reason_of(error), host_seconds=time.perf_counter() - begun)
    return Outcome(job.cell, "done", summary=result.summary, host_seconds=time.perf_counter() - begun)


def lost_cell(job: Job) -> Outcome:
    """The outcome of a cell whose process died."""
    return Outcome(job.cell, "failed", reason="its process was killed, perhaps because memory ran out: use fewer --workers")
