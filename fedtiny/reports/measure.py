"""What the figures of a sweep measure: the time to the target accuracy, or the final accuracy where nothing has a target."""

from dataclasses import dataclass
from typing import Final, Literal

import matplotlib
from matplotlib.colors import Colormap, LogNorm, Normalize

from fedtiny.reports.quantities import Scale, time_scale
from fedtiny.results.sweep import SweepResult, combinations

_LOGARITHMIC_FROM: Final = 20.0


@dataclass(frozen=True, eq=False)
class Measure:
    """A summary column, the unit it is drawn in, what it is called, and its colours: the better, the brighter."""

    column: Literal["time_to_target", "accuracy"]
    scale: Scale
    label: str
    colors: Colormap
    norm: Normalize


def measured(sweep: SweepResult) -> Measure | None:
    """Time to target if the sweep has a target and any cell reached it, else final accuracy; None without either."""
    times = _means(sweep, "time_to_target")
    if sweep.target_accuracy is not None and times:
        scale = time_scale(max(times))
        label = f"time to {100 * sweep.target_accuracy:.3g} % accuracy ({scale.unit})"
        return Measure("time_to_target", scale, label, matplotlib.colormaps["cividis_r"], _norm(times, scale))
    accuracies = _means(sweep, "accuracy")
    if not accuracies:
        return None
    scale = Scale(0.01, "%")
    return Measure("accuracy", scale, "final accuracy (%)", matplotlib.colormaps["cividis"], _norm(accuracies, scale))


def _means(sweep: SweepResult, column: str) -> list[float]:
    return [interval.mean for combination in combinations(sweep) if (interval := combination.interval(column)) is not None]


def _norm(values: list[float], scale: Scale) -> Normalize:
    low, high = scale(min(values)), scale(max(values))
    if low > 0 and high > _LOGARITHMIC_FROM * low:
        return LogNorm(low, high)
    return Normalize(low, high) if high > low else Normalize(low - 1, high + 1)
