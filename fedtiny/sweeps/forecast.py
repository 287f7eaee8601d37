"""How long the rest of a sweep takes, from how long its cells have taken so far.

Every cell that ends says how many seconds its process took for its expected work (`expected_work`). Cells that begin with nothing to
read and cells whose training lies in a journal (`shared_training`) have a pace each; as long as nothing is known of one, the other's
stands for it. Since the longest cells begin first, plain counting would say far too much.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fedtiny.sweeps.axes import Cell
from fedtiny.sweeps.cell import Outcome


@dataclass
class _Kind:
    """Cells that are done, of those that train or of those that read."""

    seconds: float = 0.0
    work: float = 0.0

    @property
    def pace(self) -> float | None:
        """Seconds for each unit of work."""
        return self.seconds / self.work if self.work else None


@dataclass
class Forecast:
    """The rest of a sweep. Asked before the first cell runs, or has ended, it knows nothing."""

    clock: Callable[[], float] = time.monotonic
    _work: dict[str, float] = field(default_factory=dict, init=False)
    _trains: frozenset[str] = field(default=frozenset(), init=False)
    _kinds: tuple[_Kind, _Kind] = field(default_factory=lambda: (_Kind(), _Kind()), init=False)
    _at_once: Callable[[], int] = field(default=lambda: 1, init=False)
    _begun: float = field(default=0.0, init=False)

    def begin(self, cells: Sequence[Cell], first: Sequence[Cell], work: Mapping[str, float], at_once: Callable[[], int]) -> None:
        """The cells that are to run now, those among them that wait for no other one, in what unit ever the expected work of some (of a
        cell that is not named: the mean), and how many run at a time."""
        known = [value for value in work.values() if value > 0]
        mean = sum(known) / len(known) if known else 1.0
        self._work = {cell.id: work.get(cell.id, 0.0) or mean for cell in cells}
        self._trains = frozenset(cell.id for cell in first)
        self._at_once, self._begun = at_once, self.clock()

    def note(self, outcome: Outcome) -> None:
        """A cell has ended."""
        work = self._work.pop(outcome.cell, None)
        if work is not None and outcome.host_seconds is not None and outcome.status == "done":
            kind = self._kinds[outcome.cell in self._trains]
            kind.seconds += outcome.host_seconds
            kind.work += work

    def left(self) -> float | None:
        """Seconds until the last cell has ended; None where nothing is known, or what was foreseen has passed."""
        reads, trains = (kind.pace for kind in self._kinds)
        if (reads is None and trains is None) or not self._work:
            return None
        paces = (trains if reads is None else reads, reads if trains is None else trains)
        rest = sorted(work * (paces[cell in self._trains] or 0.0) for cell, work in self._work.items())
        processes = max(1, self._at_once())
        spent = sum(kind.seconds for kind in self._kinds)
        # all of it shared among the processes, but never less than what has not begun
        whole = (spent + sum(rest)) / processes - (self.clock() - self._begun)
        left = max(whole, sum(rest[:-processes]) / processes)
        return left if left > 0 else None
