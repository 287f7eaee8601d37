"""What is best when several things count: final accuracy against each of the costs of a combination or a run, and the Pareto front.

A point is on the front of a cost if no other is at least as accurate and at least as cheap, and better in one of the two.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedtiny.reports.quantities import Scale, energy_scale, size_scale, time_scale
from fedtiny.results.metrics import peak_memory
from fedtiny.results.record import RunResult
from fedtiny.results.sweep import Combination


@dataclass(frozen=True)
class Cost:
    """Something that should be small: the name of its column, what it is called, and its unit."""

    column: str
    label: str
    scale: Callable[[float], Scale]


COSTS: Final = (
    Cost("virtual_time", "virtual time", time_scale),
    Cost("memory", "training memory", size_scale),
    Cost("energy", "energy of the fleet", energy_scale),
    Cost("bytes", "bytes moved", size_scale),
)


@dataclass(frozen=True)
class Candidate:
    """A combination or a run: its name, its final accuracy, and its costs as far as they are known, in base units."""

    name: str
    accuracy: float
    costs: Mapping[str, float]


def candidates_of_runs(results: Sequence[RunResult]) -> list[Candidate]:
    """Runs with an accuracy."""
    found = []
    for result in results:
        summary = result.summary
        if summary["accuracy"] is None or not summary["rounds"]:
            continue
        costs = {
            "virtual_time": summary["virtual_time"],
            "energy": summary["energy"],
            "bytes": summary["bytes_up"] + summary["bytes_down"],
            "memory": peak_memory(result.devices),
        }
        found.append(Candidate(result.name, summary["accuracy"], {name: value for name, value in costs.items() if value is not None}))
    return found


def candidate_of_cell(cell: Combination, name: str, runs: Mapping[str, RunResult]) -> Candidate | None:
    """A combination: means over the seeds that are done; None if none is, or none has an accuracy."""
    seeds = candidates_of_runs([runs[row["cell"]] for row in cell.rows if row["cell"] in runs])
    if not seeds:
        return None
    known = set.intersection(*(set(seed.costs) for seed in seeds))
    means = {cost: float(np.mean([seed.costs[cost] for seed in seeds])) for cost in known}
    return Candidate(name, float(np.mean([seed.accuracy for seed in seeds])), means)


def front(candidates: Sequence[Candidate], cost: str) -> list[Candidate]:
    """Those that no other beats, from the cheapest to the dearest; of equals, all."""
    priced = sorted((one for one in candidates if cost in one.costs), key=lambda one: (one.costs[cost], -one.accuracy))
    kept: list[Candidate] = []
    for one in priced:
        if not kept or one.accuracy > kept[-1].accuracy or (one.accuracy, one.costs[cost]) == (kept[-1].accuracy, kept[-1].costs[cost]):
            kept.append(one)
    return kept
