"""Training that cells of a sweep share: done by the first of them, read from a journal by the others.

Cells that say the same but for what takes time (devices, networks, when the run ends) are a group: with a strategy that asks for the
same work whatever the latency, such as FedAvg or DGA at a fixed schedule, they train the same and differ in timing alone. One cell of
a group runs alone, so that two processes do not train the same at once; then the others of the group, side by side, before a further
group begins. Whether work really is the same the journal decides, package by package: grouping only orders the cells.

Every group has a journal of its own in the sweep's folder, so that no group drives out what another one still needs. It is deleted
with the last cell of the group, unless it is asked for: journals can be much larger than all results together. So no more groups have
one at a time than cells run at a time, and that many share the bound. After a failure or an interrupt a group's journal stays, since
the same command goes on from there.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fedtiny.fleet.population import Population
from fedtiny.scenario.schema import Scenario
from fedtiny.sweeps.axes import Cell
from fedtiny.training.journal import DEFAULT_BYTES

JOURNAL_FOLDER: Final = "journal"
_TIMING_KEYS: Final = ("name", "device", "network", "stop", "evaluation", "accounting", "carbon_intensity")
_GROUP_DIGITS: Final = 12


@dataclass(frozen=True)
class JournalOptions:
    """How many bytes the journals of a sweep may hold together (0: none are kept), and whether they outlive it."""

    most_bytes: int = DEFAULT_BYTES
    keep: bool = False


@dataclass(frozen=True)
class JournalPlace:
    """The folder of one journal, and its bound."""

    folder: Path
    most_bytes: int


def shared_journals(cells: Iterable[Cell], folder: Path, options: JournalOptions, at_once: int = 1) -> dict[str, JournalPlace]:
    """By id, the journal of every cell that is not alone in its group, or whose group has left one.

    `folder` is the sweep's, `at_once` how many cells run at a time. Journals that are to be kept share the bound among all of them;
    the others among as many as there are at a time, and one that is still being deleted.
    """
    groups: dict[str, list[str]] = {}
    for cell in cells:
        if cell.scenario.learning == "real":
            groups.setdefault(learning_group(cell.scenario), []).append(cell.id)
    left = folder / JOURNAL_FOLDER
    shared = {group: members for group, members in groups.items() if len(members) > 1 or (left / group).is_dir()}
    if not (options.most_bytes and shared):
        return {}
    sharing = len(shared) if options.keep else min(len(shared), at_once + 1)
    return {cell: JournalPlace(left / group, options.most_bytes // sharing) for group, members in shared.items() for cell in members}


@dataclass
class Turns:
    """Which cells may run: of every group one, and its others as soon as one of it is done.

    A cell that fails leaves nothing to read, so the next of its group takes its turn. `keep` says whether journals outlive their group.
    """

    cells: Sequence[Cell]
    journals: Mapping[str, JournalPlace]
    keep: bool = False
    _waiting: dict[JournalPlace, list[Cell]] = field(default_factory=dict, init=False)
    _open: dict[JournalPlace, set[str]] = field(default_factory=dict, init=False)

    def first(self) -> list[Cell]:
        """The cells that wait for no other one, in their order."""
        first: list[Cell] = []
        for cell in self.cells:
            journal = self.journals.get(cell.id)
            if journal is None or journal not in self._open:
                first.append(cell)
            else:
                self._waiting.setdefault(journal, []).append(cell)
            if journal is not None:
                self._open.setdefault(journal, set()).add(cell.id)
        return first

    def after(self, cell: str, *, done: bool) -> list[Cell]:
        """The cells that may run now that this one is done, or has failed; deletes a journal that nobody waits for any more."""
        journal = self.journals.get(cell)
        if journal is None:
            return []
        if done:
            self._open[journal].remove(cell)
        if not (self._open[journal] or self.keep):
            shutil.rmtree(journal.folder, ignore_errors=True)
        waiting = self._waiting.pop(journal, [])
        if not done and len(waiting) > 1:
            self._waiting[journal] = waiting[1:]
        return waiting if done else waiting[:1]


def learning_group(scenario: Scenario) -> str:
    """The same for scenarios that differ in what takes time alone."""
    plain = {key: value for key, value in scenario.to_plain().items() if key not in _TIMING_KEYS}
    if not isinstance(scenario.fleet, Population):
        plain["fleet"] = [group.count for group in scenario.fleet]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:_GROUP_DIGITS]


def remove_journals(folder: Path) -> None:
    """Deletes the journals of a sweep."""
    shutil.rmtree(folder / JOURNAL_FOLDER, ignore_errors=True)
