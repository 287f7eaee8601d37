"""What `fedtiny contribution` takes from the command line and shows: an analysis, a budget, rows for a table, a folder with a figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from fedtiny.design.contribution import Analysis
from fedtiny.errors import ScenarioError, UnitError
from fedtiny.reports import style
from fedtiny.reports.figures import contributions as figure
from fedtiny.reports.quantities import size
from fedtiny.results.files import json_text, replace_file
from fedtiny.units import SIZE, parse_quantity

_POINTS: Final = 100


def analysis_of(steps: int, repeats: int, depths: str | None, layers: str | None, shares: str) -> Analysis:
    """The analysis that options of the command line describe; lists are numbers with commas. Raises ScenarioError, naming the option."""
    given: dict[str, Any] = {"steps": steps, "repeats": repeats, "shares": _numbers(shares, float, "--shares")}
    given |= {} if depths is None else {"depths": _numbers(depths, int, "--depths")}
    given |= {} if layers is None else {"layers": _numbers(layers, int, "--layers")}
    try:
        return Analysis.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ScenarioError(f"--{first['loc'][0]}: {first['msg']}, found {first['input']!r}") from None


def memory_budget(text: str) -> int:
    """A budget in bytes; ScenarioError where it is no size above 0."""
    try:
        budget = int(parse_quantity(text, SIZE, "100 KiB"))
    except UnitError as error:
        raise ScenarioError(f"--budget: {error}") from None
    if budget <= 0:
        raise ScenarioError(f"--budget: a budget is more than 0 bytes, found {text!r}")
    return budget


def contribution_rows(document: Mapping[str, Any]) -> list[dict[str, str]]:
    """One row of texts for each solver."""
    rows = []
    for solver in ("exact", "evolved"):
        found = document[solver]
        if found is None:
            continue
        weights = ", ".join(f"{layer}: {share:g}" for layer, share in found["scheme"]["weights"].items())
        rows.append(
            {
                "solver": solver,
                "biases": str(found["scheme"]["biases"]),
                "weights": weights or "none",
                "extra memory": size(found["memory"]),
                "sum of gains": f"{_POINTS * found['gain']:.1f} points",
            }
        )
    return rows


def write_contribution(document: Mapping[str, Any], folder: Path) -> None:
    """contribution.json with every gain, and contribution.png and .svg; each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "contribution.json", json_text(document).encode())
    measured = document["contributions"]
    drawn = figure.draw(measured["biases"], measured["weights"], document["update"]["biases"], document["update"]["weights"])
    replace_file(folder / "contribution.png", style.png_bytes(drawn))
    replace_file(folder / "contribution.svg", style.svg_text(drawn).encode())


def _numbers(text: str, kind: type[int] | type[float], option: str) -> list[float]:
    try:
        return [kind(number) for number in text.split(",")]
    except ValueError:
        raise ScenarioError(f"{option}: expected numbers with commas between them, such as 1,2,3, found {text!r}") from None
