"""What `fedtiny sweep` is to do, as the command line's words say it: run every combination of the axes, or search among them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from fedtiny.errors import InputError
from fedtiny.results.objectives import objectives_of
from fedtiny.results.sweep import SweepResult
from fedtiny.scenario.tree import Tree
from fedtiny.sweeps.axes import Axis, cross
from fedtiny.sweeps.local import Executor
from fedtiny.sweeps.search import BATCH, SearchOrder, run_search
from fedtiny.sweeps.search_space import search_space
from fedtiny.sweeps.sweep import Begins, run_sweep
from fedtiny.trackers.destination import Destination, destinations

TRIALS: Final = 40
"""Of a search, unless somebody says another number."""


@dataclass(frozen=True)
class Task:
    """The name of a sweep, how many runs it has at most, and what runs it, with the further arguments of `sweep.run_sweep`."""

    name: str
    runs: int
    run: Callable[..., SweepResult]


def sweep_task(
    base: Tree,
    folder: Path,
    axes: Sequence[Axis],
    seeds: int,
    *,
    optimize: str | None = None,
    trials: int | None = None,
    batch: int | None = None,
) -> Task:
    """What to do with these axes; `folder` is where the scenario's file is. Raises InputError where the words make no sense."""
    if optimize is None:
        if trials is not None or batch is not None:
            raise InputError("--trials and --batch are of a search: say what for, such as --optimize time_to_target")
        crossed = cross(base, folder, axes, seeds)
        return Task(crossed.name, len({cell.id for cell in crossed.cells}), partial(run_sweep, crossed))
    order = SearchOrder(objectives_of([name.strip() for name in optimize.split(",")]), trials or TRIALS, batch or BATCH)
    space = search_space(base, folder, axes, seeds)

    def run(folder: Path, executor: Executor, *, begins: Begins | None = None, **options: Any) -> SweepResult:
        # what a search will run, and so how long, nobody knows when it begins
        return run_search(space, order, folder, executor, **options)

    return Task(space.name, min(order.trials, space.combinations) * seeds, run)


def sweep_log(words: Sequence[str] | None, folder: Path, ray: str | None, optimize: str | None) -> dict[str, Any]:
    """The argument `log` of `sweep.run_sweep` for what `--log` says, beside the sweep's folder; no argument where it says nothing.

    Raises InputError for wrong words, and where runs cannot be logged.
    """
    if words and (ray is not None or optimize is not None):
        raise InputError("--log is of runs on this machine that are known before: leave it out with --ray and with --optimize")
    return {"log": tuple(_below(one, folder.absolute().name) for one in destinations(words, folder.parent))} if words else {}


def _below(destination: Destination, name: str) -> Destination:
    """Event files of a sweep's runs lie in a folder of their own; in MLflow they have an experiment of their own."""
    return destination if destination.kind == "mlflow" else replace(destination, place=str(Path(destination.place) / name))
