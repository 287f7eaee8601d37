"""A run that is logged while it goes on.

Nothing is opened before the server holds its first version, so that a scenario that is refused leaves no run behind. A program that fails
later (a full disk, a server that went away) is warned of and left out; the run goes on, and its folder has everything.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from fedtiny.progress import Progress, Report
from fedtiny.results.record import RunResult
from fedtiny.scenario.schema import Scenario
from fedtiny.trackers.destination import Destination, Kind, Logged
from fedtiny.trackers.measures import Measured, of_rounds, of_version
from fedtiny.trackers.mlflow import MlflowRun, prepare_experiment
from fedtiny.trackers.tensorboard import TensorBoardRun
from fedtiny.trackers.tracker import Ending, Tracker

Programs = Mapping[Kind, Callable[[Destination, Logged, Scenario], Tracker]]
"""What opens a run in each of the programs."""

_PROGRAMS: Final[Programs] = MappingProxyType({"tensorboard": TensorBoardRun, "mlflow": MlflowRun})


@dataclass
class LiveLog:
    """One run and who is told of it. Raises InputError where one of them cannot be opened."""

    logged: Logged
    scenario: Scenario
    report: Report | None = None
    programs: Programs = field(default_factory=lambda: _PROGRAMS)
    _open: dict[Destination, Tracker] = field(default_factory=dict, init=False)
    _begun: bool = field(default=False, init=False)
    _told: set[int] = field(default_factory=set, init=False)
    _now: float = field(default=0.0, init=False)

    def watch(self, state: Progress) -> None:
        """Takes note of how far the run is, and passes it on."""
        self._now = state.virtual_time
        measured = None if state.version is None or not self.logged.destinations else of_version(state.version)
        if measured is not None:
            self._told.add(measured.round)
            self._write([measured])
        if self.report is not None:
            self.report(state)

    def complete(self, result: RunResult) -> None:
        """The run is done: what is known only now, and its summary."""
        if self.logged.destinations:
            self._write(of_rounds(result.rounds, self._told))
            self._end("done", result.summary)

    def end(self, ending: Ending) -> None:
        """The run has ended otherwise, perhaps before it was logged."""
        self._end(ending, {})

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            for one in self.logged.destinations:
                self._open[one] = self.programs[one.kind](one, self.logged, self.scenario)

    def _write(self, measured: list[Measured]) -> None:
        self._begin()
        self._each(lambda tracker: tracker.write(measured))

    def _end(self, ending: Ending, summary: Mapping[str, Any]) -> None:
        self._each(lambda tracker: tracker.close(ending, summary, self._now))
        self._open.clear()

    def _each(self, tell: Callable[[Tracker], None]) -> None:
        for destination, tracker in list(self._open.items()):
            try:
                tell(tracker)
            except Exception as error:  # noqa: BLE001  whatever a server or a disk has: the run is worth more
                del self._open[destination]
                warnings.warn(f"{destination.kind} at {destination.place} is not told of the rest of the run: {error}", stacklevel=2)


@contextmanager
def live_log(logged: Logged | None, scenario: Scenario, report: Report | None) -> Iterator[LiveLog]:
    """The log of a run; leaving by an exception ends it as failed or interrupted. None is logged nowhere."""
    log = LiveLog(logged or Logged((), "", ""), scenario, report)
    try:
        yield log
    except BaseException as error:
        log.end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise


def prepare_for_several(logged: Logged) -> None:
    """Makes what the runs of a sweep share. Raises InputError where it cannot be used."""
    for one in logged.destinations:
        if one.kind == "mlflow":
            prepare_experiment(one, logged.experiment)
