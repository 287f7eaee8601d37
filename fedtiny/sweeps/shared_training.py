"""Training that cells of a sweep share: done by the first of them, read from a journal by the others.

Cells that say the same but for what takes time (devices, networks, when the run ends) are a group: with a strategy that asks for the
same work whatever the latency, such as FedAvg or DGA at a fixed schedule, they train the same and differ in timing alone. The first
cell of every group runs before the other cells of any group, so that two processes do not train the same at once; the others then run
side by side. Whether work really is the same the journal decides, package by package: grouping only orders the cells.

A journal lies in the sweep's folder while the sweep goes on, one for each group, so that no group drives out what another one still
needs. It ends with the sweep unless it is asked for: it can be much larger than all results together. After a failure or an interrupt
it stays, since the same command goes on from there.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedtiny.scenario.schema import Scenario
from fedtiny.sweeps.axes import Cell
from fedtiny.training.journal import DEFAULT_BYTES

JOURNAL_FOLDER: Final = "journal"
_TIMING_KEYS: Final = ("name", "device", "network", "stop", "evaluation", "accounting")
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


def shared_journals(cells: Iterable[Cell], folder: Path, options: JournalOptions) -> dict[str, JournalPlace]:
    """By id, the journal of every cell that is not alone in its group, or whose group has left one; `folder` is the sweep's."""
    groups: dict[str, list[str]] = {}
    for cell in cells:
        if cell.scenario.learning == "real":
            groups.setdefault(learning_group(cell.scenario), []).append(cell.id)
    left = folder / JOURNAL_FOLDER
    shared = {group: members for group, members in groups.items() if len(members) > 1 or (left / group).is_dir()}
    if not options.most_bytes:
        return {}
    return {cell: JournalPlace(left / group, options.most_bytes // len(shared)) for group, members in shared.items() for cell in members}


def in_turns(cells: Sequence[Cell], journals: Mapping[str, JournalPlace]) -> list[list[Cell]]:
    """The cells that run first, and those that run when all of these are done: the cells of a group but its first."""
    first: dict[JournalPlace | str, Cell] = {}
    for cell in cells:
        first.setdefault(journals.get(cell.id, cell.id), cell)
    leaders = {cell.id for cell in first.values()}
    return [[cell for cell in cells if (cell.id in leaders) is leads] for leads in (True, False)]


def learning_group(scenario: Scenario) -> str:
    """The same for scenarios that differ in what takes time alone."""
    plain = {key: value for key, value in scenario.to_plain().items() if key not in _TIMING_KEYS}
    plain["fleet"] = [group.count for group in scenario.fleet]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:_GROUP_DIGITS]


def remove_journals(folder: Path) -> None:
    """Deletes the journals of a sweep."""
    shutil.rmtree(folder / JOURNAL_FOLDER, ignore_errors=True)
