"""What a search can make as good as possible: columns of cells.parquet, each with its direction.

A combination's value is the mean over its seeds, and nothing at all unless every seed has one: a mean over those seeds alone that
reached a target would praise what seldom reaches it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from fedtiny.errors import InputError

Direction = Literal["maximize", "minimize"]
Quantity = Literal["share", "time", "size", "energy", "mass", "number"]


@dataclass(frozen=True)
class Objective:
    """Something to make as large or as small as possible: its name, its direction, what it is called, and what is measured.

    It is the sum of the columns, which is usually one.
    """

    name: str
    direction: Direction
    label: str
    quantity: Quantity
    columns: tuple[str, ...]

    @property
    def of_target(self) -> bool:
        """Whether it is what it takes to reach the target accuracy."""
        return self.name.endswith("_to_target")

    @property
    def of_learning(self) -> bool:
        """Whether a run that only tells time has none."""
        return self.of_target or self.name in ("accuracy", "loss")

    def of(self, row: Mapping[str, Any]) -> float | None:
        """The value of one row of cells.parquet, or of a run's summary; None if it has none."""
        values = [row.get(column) for column in self.columns]
        known = [float(value) for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None

    def mean(self, rows: Iterable[Mapping[str, Any]]) -> float | None:
        """The mean over the seeds of a combination; None unless each of them has a value."""
        values = [self.of(row) for row in rows]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known and len(known) == len(values) else None

    def loss(self, value: float) -> float:
        """The value, turned so that smaller is better."""
        return value if self.direction == "minimize" else -value


def _down(name: str, label: str, quantity: Quantity, *columns: str) -> Objective:
    return Objective(name, "minimize", label, quantity, columns or (name,))


_ALL: Final = (
    Objective("accuracy", "maximize", "final accuracy", "share", ("accuracy",)),
    _down("loss", "final loss", "number"),
    _down("time_to_target", "time to target", "time"),
    _down("rounds_to_target", "number of rounds to target", "number"),
    _down("bytes_to_target", "traffic to target", "size"),
    _down("energy_to_target", "energy to target", "energy"),
    _down("peak_memory", "training memory", "size"),
    _down("virtual_time", "virtual time", "time"),
    _down("rounds", "number of rounds", "number"),
    _down("energy", "energy of the fleet", "energy"),
    _down("carbon", "carbon footprint", "mass"),
    _down("bytes", "traffic", "size", "bytes_up", "bytes_down"),
    _down("bytes_up", "uplink traffic", "size"),
    _down("bytes_down", "downlink traffic", "size"),
    _down("wasted_compute", "wasted compute", "share"),
    _down("wasted_bytes", "wasted bytes", "share"),
)
OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType({objective.name: objective for objective in _ALL})


def objectives_of(names: Sequence[str]) -> tuple[Objective, ...]:
    """The objectives of these names, in their order; raises InputError for a name that is none, or that is there twice."""
    if unknown := [name for name in names if name not in OBJECTIVES]:
        allowed = [[one.name for one in _ALL if one.direction == direction] for direction in ("maximize", "minimize")]
        raise InputError(
            f"cannot search for {unknown[0] or 'nothing'}: name one or several, with commas between them, of {', '.join(allowed[0])} "
            f"(as high as possible) and {', '.join(allowed[1])} (as low as possible)"
        )
    if len(set(names)) < len(names):
        raise InputError(f"an objective is named twice in {','.join(names)}: leave one of them out")
    return tuple(OBJECTIVES[name] for name in names)
