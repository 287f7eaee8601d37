"""Where a run trains and where a sweep's cells run, as the command line's words say it: here, in worker processes, over Ray; with a
journal or without."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fedtiny.errors import ScenarioError, UnitError
from fedtiny.remembered_training import remembering
from fedtiny.simulated_clients import TrainingOf, in_this_process
from fedtiny.sweeps.local import Executor, default_workers, processes
from fedtiny.sweeps.ray import on_ray, ray_executor
from fedtiny.sweeps.shared_training import JournalOptions
from fedtiny.sweeps.workers import in_worker_processes
from fedtiny.training.journal import Journal
from fedtiny.units import SIZE, parse_quantity

_BOTH: Final = "--workers are processes of this machine, --ray is a cluster: leave out one of them"


def way_of_training(workers: int, ray: str | None, journal: Path | None, *, allow_code: bool = False) -> TrainingOf:
    """What trains the packages of a run. Raises ScenarioError where the words contradict each other, FolderError for a bad journal."""
    if ray is not None and workers > 1:
        raise ScenarioError(_BOTH)
    way = in_this_process()
    if ray is not None:
        way = on_ray(ray, allow_code=allow_code)
    elif workers > 1:
        way = in_worker_processes(workers, allow_code=allow_code)
    return way if journal is None else remembering(way, Journal(journal))


@contextmanager
def executor_of(cells: int, folder: Path, workers: int | None, ray: str | None) -> Iterator[Executor]:
    """What runs the cells of a sweep that writes this folder, absolute. Raises ScenarioError where the words contradict each other."""
    if ray is not None and workers is not None:
        raise ScenarioError(_BOTH)
    with processes(workers or default_workers(cells)) if ray is None else ray_executor(ray, folder) as executor:
        yield executor


def journal_options(size: str | None, keep: bool) -> JournalOptions:
    """How the journals of a sweep are kept, from a size such as "4 GB" or 0. Raises UnitError."""
    if size is None:
        return JournalOptions(keep=keep)
    try:
        most = 0.0 if size.strip() == "0" else parse_quantity(size, SIZE, "4 GB")
    except UnitError as error:
        raise UnitError(f"--journal-size {size}: {error}") from None
    return JournalOptions(max(0, int(most)), keep)
