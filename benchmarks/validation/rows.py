"""A row of the validation: something that was measured somewhere, and what FedTiny predicts for it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

DATA: Final = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Row:
    """One measurement and its prediction, in the same unit."""

    group: str
    """What the row is drawn and summed up with."""
    device: str
    what: str
    predicted: float
    measured: float
    unit: str
    source: str
    """Key of the sources at the end of the page."""
    counted: bool = True
    """Whether this is a prediction: not a bound, and nothing that the numbers it is made from were derived from."""
    note: str = ""

    @property
    def error(self) -> float:
        """(predicted - measured) / measured."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Check:
    """A claim with its threshold."""

    claim: str
    found: float
    least: float
    most: float

    @property
    def met(self) -> bool:
        """Whether what was found lies between the thresholds."""
        return self.least <= self.found <= self.most


@dataclass(frozen=True)
class Section:
    """A device's part of the page."""

    title: str
    text: str
    rows: Sequence[Row]
    checks: Sequence[Check]


def median_error(rows: Sequence[Row]) -> float:
    """The median absolute error of these rows."""
    return median(abs(row.error) for row in rows)


def table(name: str) -> list[dict[str, str]]:
    """The rows of data/`name`.csv; lines that begin with # are comments."""
    lines = (DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))
