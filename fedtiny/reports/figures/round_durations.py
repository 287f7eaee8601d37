"""Figure: how long rounds take: a histogram of the virtual time from one version of the model to the next, one outline for each run."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedtiny.reports import style
from fedtiny.reports.curves import line_style
from fedtiny.reports.quantities import time_scale
from fedtiny.results.metrics import floats
from fedtiny.results.record import RunResult

_BINS: Final = 24
_LEAST_ROUNDS: Final = 3
_LABEL_LENGTH: Final = 40
_LEGEND_ROW: Final = 0.155
_SPREAD_OF_EQUALS: Final = 0.05


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """Rounds by duration, all runs in the same bins, medians as vertical lines; None if no run has three rounds."""
    shown = [
        (place, result.name, durations)
        for place, result in enumerate(results)
        if (durations := np.diff(floats(result.rounds, "virtual_time"))).size >= _LEAST_ROUNDS
    ]
    if not shown:
        return None
    every = np.concatenate([durations for _, _, durations in shown])
    scale = time_scale(float(every.max()))
    low, high = scale(float(every.min())), scale(float(every.max()))
    margin = max(_SPREAD_OF_EQUALS * high - (high - low), 0.0) / 2
    bins = np.linspace(max(0.0, low - margin), (high + margin) or 1.0, _BINS + 1)
    named = len(results) > 1
    figure = style.new_figure(style.ONE_COLUMN, 1.9 + _LEGEND_ROW * len(shown) * named)
    axes = figure.subplots()
    for place, name, durations in shown:
        look = {key: value for key, value in line_style(place, 0).items() if key != "marker"}
        counts, _ = np.histogram(scale(1.0) * durations, bins)
        axes.stairs(counts, bins, label=style.shortened(name, _LABEL_LENGTH), linewidth=1.3, fill=not named, **look)
        axes.axvline(scale(float(np.median(durations))), linewidth=0.8, alpha=0.9, **(look if named else {"color": style.INK}))
    style.grid(axes)
    axes.set(xlabel=f"duration of a round ({scale.unit}); line: median", ylabel="rounds")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if named:
        figure.legend(loc="outside upper left")
    return figure
