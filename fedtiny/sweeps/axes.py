"""Axes and seeds, crossed into cells: every cell is the base scenario with other values at a few keys.

An axis comes from the scenario's `sweep:` or from `--axis KEY=v1,v2,...`, whose values are read as a YAML list (braces may
hold commas), where `1 ms..5 s:7:log` stands for the values of a range (`ranges`). A key that is several keys with commas
between them, such as `update, training.batch_size`, is a zipped axis: each of its values is a list with a value for every key,
and they change together. Seeds are paired: every combination runs with the same seeds, seed ... seed + N - 1. The id of a cell
is a hash of its resolved scenario, so the same cell has the same id in every sweep.
"""

import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from fedtiny.errors import ScenarioError
from fedtiny.scenario.files import Override, key_path, override, resolved_yaml, to_scenario
from fedtiny.scenario.schema import Scenario
from fedtiny.scenario.tree import KeyPath, SourceMap, Tree, dump_tree, parse_tree
from fedtiny.sweeps.ranges import expanded, is_range

MOST_CELLS: Final = 10_000
_ID_DIGITS: Final = 12


@dataclass(frozen=True)
class Axis:
    """A key of the scenario, or several with commas between them, the values it takes, and where each of them was said."""

    key: str
    values: tuple[Any, ...]
    places: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ScenarioError where a key names nothing, or a zipped axis has not as many values as keys."""
        for value, place in zip(self.values, self.places, strict=True):
            if len(self.paths) > 1 and (not isinstance(value, list) or len(value) != len(self.paths)):
                raise ScenarioError(f"{place}: the axis has {len(self.paths)} keys, so each value is a list of as many; found {value!r}")

    @property
    def paths(self) -> tuple[KeyPath, ...]:
        """The keys as paths."""
        return tuple(key_path(key, self.places[0]) for key in self.key.split(","))

    @property
    def labels(self) -> tuple[str, ...]:
        """The values as short texts."""
        return tuple(step.label for step in self.steps)

    @property
    def steps(self) -> list["Step"]:
        """What each value says and changes."""
        return [self._step(value, place) for value, place in zip(self.values, self.places, strict=True)]

    def _step(self, value: Any, place: str) -> "Step":
        values = [value] if len(self.paths) == 1 else value
        overrides = tuple(Override(path, one, place) for path, one in zip(self.paths, values, strict=True))
        return Step(", ".join(map(label, values)), overrides)


@dataclass(frozen=True)
class Step:
    """One value on an axis: a short text, and what it changes."""

    label: str
    overrides: tuple[Override, ...]


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: its values on the axes, and the scenario that they make."""

    id: str
    labels: dict[str, str]
    scenario: Scenario
    sources: SourceMap


@dataclass(frozen=True)
class Sweep:
    """Every cell of a sweep, the axes that span it, and the base scenario with its axes as YAML."""

    axes: tuple[Axis, ...]
    cells: tuple[Cell, ...]
    scenario_yaml: str

    @property
    def name(self) -> str:
        """The name of the scenario."""
        return self.cells[0].scenario.name

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in the order in which they run."""
        return tuple(dict.fromkeys(cell.scenario.seed for cell in self.cells))

    @property
    def target_accuracy(self) -> float | None:
        """The target that the cells share; None where they have none or several."""
        targets = {cell.scenario.stop.target_accuracy for cell in self.cells}
        return targets.pop() if len(targets) == 1 else None


def label(value: Any) -> str:
    """A value as a short text: `100 ms`, `tinytl` for a kind alone, else YAML on one line."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and list(value) == ["kind"]:
        return str(value["kind"])
    return yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=math.inf).removesuffix("...\n").strip()


def parse_axis(text: str) -> Axis:
    """The axis that `--axis KEY=v1,v2,...` asks for; raises ScenarioError if it cannot be read."""
    key, equals, values = text.partition("=")
    place = f"--axis {text}"
    plain = parse_tree(f"[{values}]", place, lines=False).plain if equals else []
    if not isinstance(plain, list) or not plain:
        raise ScenarioError(f"{place}: expected KEY=v1,v2,..., such as --axis network.latency='0 ms,100 ms,1 s'")
    return _along(key.strip(), plain, [place] * len(plain))


def split_sweep(tree: Tree) -> tuple[Tree, list[Axis]]:
    """The base scenario without its key `sweep`, and the axes that stood there; raises ScenarioError if they are none."""
    found = tree.plain.get("sweep")
    where = tree.sources.explain("", ("sweep",)).removesuffix(": ")
    base = Tree({key: value for key, value in tree.plain.items() if key != "sweep"}, tree.sources)
    if found is None:
        return base, []
    if not isinstance(found, dict):
        raise ScenarioError(f"{where}: must be keys with lists of values, such as 'network.latency: [0 ms, 100 ms]'")
    return base, [_axis(str(key), values, tree.sources) for key, values in found.items()]


def cross(base: Tree, folder: Path, axes: Sequence[Axis], seeds: int = 1) -> Sweep:
    """Every combination of the axes' values with every seed, each a checked scenario, in the axes' order.

    `folder` is where the scenario's file is. An axis that is named twice counts as it was said last. Raises ScenarioError
    where a cell is no scenario, two cells say the same in the same words, or there are more than 10 000.
    """
    axes = said_last(axes)
    number = math.prod((len(axis.values) for axis in axes), start=seeds)
    if number > MOST_CELLS:
        raise ScenarioError(f"the axes and seeds make {number} runs: a sweep may have at most {MOST_CELLS}")
    combinations = itertools.product(itertools.product(*(axis.steps for axis in axes)), seeds_from(base, seeds))
    return sweep_of(base, axes, [cell_of(base, folder, axes, steps, seed) for steps, seed in combinations])


def sweep_of(base: Tree, axes: Sequence[Axis], cells: Sequence[Cell]) -> Sweep:
    """These cells as a sweep. Raises ScenarioError where two cells say the same in the same words."""
    _check_different(cells)
    return Sweep(tuple(axes), tuple(cells), dump_tree({**base.plain, "sweep": {axis.key: list(axis.values) for axis in axes}}))


def said_last(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The axes, each key as it was said last. Raises ScenarioError for a key that cannot be an axis."""
    last = tuple({axis.key: axis for axis in axes}.values())
    _check_axes(last)
    return last


def _axis(key: str, values: Any, sources: SourceMap) -> Axis:
    path: KeyPath = ("sweep", key)
    values = [values] if is_range(values) else values
    if not isinstance(values, list) or not values:
        wanted = "a list of values, such as [0 ms, 100 ms], or a range, such as 1 ms..5 s:7:log"
        raise ScenarioError(sources.explain(f"must be {wanted}, found {values!r}", path), path)
    return _along(key, values, [sources.locate((*path, index)) for index in range(len(values))])


def _along(key: str, values: Sequence[Any], places: Sequence[str]) -> Axis:
    placed = [(one, place) for value, place in zip(values, places, strict=True) for one in expanded(value, place)]
    return Axis(key, tuple(value for value, _ in placed), tuple(place for _, place in placed))


def _check_axes(axes: Sequence[Axis]) -> None:
    for axis in axes:
        for path in axis.paths:
            if path[0] in ("seed", "sweep"):
                raise ScenarioError(f"{axis.places[0]}: {path[0]} cannot be an axis: use --seeds N to run several seeds")


def seeds_from(base: Tree, seeds: int) -> list[Override | None]:
    """What makes each of so many seeds of a scenario, from its own on; None for its own alone."""
    first = base.plain.get("seed", 0)
    if seeds == 1 or not isinstance(first, int):
        return [None]
    return [Override(("seed",), first + index, f"--seeds {seeds}") for index in range(seeds)]


def cell_of(base: Tree, folder: Path, axes: Sequence[Axis], steps: Sequence[Step], seed: Override | None) -> Cell:
    """The cell of one step on each axis with a seed, a checked scenario. Raises ScenarioError where it is none."""
    overrides = [one for step in steps for one in step.overrides]
    tree = override(base, overrides if seed is None else [*overrides, seed])
    scenario = to_scenario(tree, folder)
    labels = {axis.key: step.label for axis, step in zip(axes, steps, strict=True)}
    digest = hashlib.sha256(resolved_yaml(scenario).encode()).hexdigest()
    return Cell(digest[:_ID_DIGITS], labels, scenario, tree.sources)


def _check_different(cells: Sequence[Cell]) -> None:
    # the same run in other words is done once and has a row for each, so that a scenario can be compared with itself
    seen = set[tuple[str, ...]]()
    for cell in cells:
        said = (cell.id, *cell.labels.values())
        if said in seen:
            raise ScenarioError(f"two cells of the sweep are the same run, in the same words: {cell.labels}: take one of them out")
        seen.add(said)
