"""Figure: how much sooner each run reaches an accuracy than the first run, over the accuracies that both reach."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from fedtiny.reports import style
from fedtiny.reports.curves import line_style
from fedtiny.results.metrics import FloatArray, accuracies, time_to_target
from fedtiny.results.record import RunResult

_STEP: Final = 0.01
_LABEL_LENGTH: Final = 40
_LEGEND_ROW: Final = 0.155
_LOGARITHMIC_FROM: Final = 10.0


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """One line per further run: time of the first run to an accuracy / this run's; None if no two runs share an accuracy."""
    lines = [(place, *found) for place, result in enumerate(results[1:], start=1) if (found := speed_ups(results[0], result))[0].size > 1]
    if not lines:
        return None
    figure = style.new_figure(style.ONE_COLUMN, 2.0 + _LEGEND_ROW * (len(lines) + 1))
    axes = figure.subplots()
    first = style.shortened(results[0].name, _LABEL_LENGTH)
    axes.axhline(1.0, color=style.CYCLE[0], linewidth=1.0, label=f"{first} (1 ×)")
    for place, levels, ratios in lines:
        axes.plot(100 * levels, ratios, label=style.shortened(results[place].name, _LABEL_LENGTH), **line_style(place, levels.size))
    every = np.concatenate([ratios for _, _, ratios in lines])
    if every.max() > _LOGARITHMIC_FROM * min(1.0, every.min()):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    else:
        axes.set_ylim(bottom=0)
    style.grid(axes)
    axes.set(xlabel="accuracy (%)", ylabel=f"times sooner than {style.shortened(results[0].name, 20)}")
    figure.legend(loc="outside upper left")
    return figure


def speed_ups(first: RunResult, other: RunResult) -> tuple[FloatArray, FloatArray]:
    """Accuracies in steps of 1 % above both starts that both runs reach, and time of the first / time of the other to each."""
    known = [found[np.isfinite(found)] for found in (accuracies(first.rounds), accuracies(other.rounds))]
    if not all(found.size for found in known):
        return np.empty(0), np.empty(0)
    low, high = max(float(found[0]) for found in known), min(float(found.max()) for found in known)
    levels, ratios = [], []
    for place in range(int(low / _STEP) + 1, int(high / _STEP + 1e-9) + 1):
        times = [time_to_target(result.rounds, place * _STEP) for result in (first, other)]
        if times[0] and times[1]:
            levels.append(place * _STEP)
            ratios.append(times[0] / times[1])
    return np.array(levels), np.array(ratios)
