"""Figure: accuracy over virtual time of every cell of a sweep, a line for every seed.

A panel for each value of the axis that heat maps have upwards, a colour for each value of the one they have across.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedtiny.reports import style
from fedtiny.reports.curves import accuracy_axis
from fedtiny.reports.quantities import Scale, time_scale
from fedtiny.reports.sweep_axes import layout, numeric_value, ordered_values, panels, value_label
from fedtiny.results.metrics import accuracies, floats
from fedtiny.results.record import RunResult
from fedtiny.results.sweep import Combination, SweepResult

_PANEL_HEIGHT: Final = 1.75
_COLUMNS: Final = 3
_TITLE_LENGTHS: Final = {1: 100, 2: 52, 3: 34}
_MOST_PANELS: Final = 9
_DARKEST, _BRIGHTEST = 0.15, 0.85


@style.paper()
def draw(sweep: SweepResult, runs: Mapping[str, RunResult]) -> Figure | None:
    """At most nine panels; `runs` maps the ids of cells to their runs. None without axes or if no cell has a curve."""
    places = layout(sweep)
    if places is None:
        return None
    others = tuple(axis for axis in (places.up, *places.others) if axis)
    parts = [part for part in panels(sweep, others) if any(row["cell"] in runs for cell in part[1] for row in cell.rows)][:_MOST_PANELS]
    if not parts:
        return None
    columns = min(_COLUMNS, len(parts))
    lines = -(-len(parts) // columns)
    figure = style.new_figure(style.TWO_COLUMNS, 0.55 + lines * (_PANEL_HEIGHT + 0.2))
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    scale = time_scale(max(float(floats(run.rounds, "virtual_time").max(initial=0.0)) for run in runs.values()))
    colors = _colors(ordered_values(sweep, places.across))
    for panel, (title, cells) in zip(axes.flat, parts, strict=False):
        _draw_panel(panel, cells, list(sweep.axes).index(places.across), runs, colors, scale)
        accuracy_axis(panel, {sweep.target_accuracy} if sweep.target_accuracy is not None else set())
        panel.set_title(style.shortened(title, _TITLE_LENGTHS[columns]))
        panel.set_xlabel(f"virtual time ({scale.unit})")
        panel.set_xlim(left=0)
        panel.label_outer()
    for panel in axes.flat[len(parts) :]:
        panel.set_visible(False)
    figure.legend(handles=_legend(colors), title=places.across, loc="outside lower left", ncols=min(6, len(colors)), alignment="left")
    return figure


def _colors(values: Sequence[str]) -> dict[str, Any]:
    """Shades from dark to bright for numbers, told apart by hue where the values have no order."""
    if any(numeric_value(value) is None for value in values):
        return {value: style.CYCLE[place % len(style.CYCLE)] for place, value in enumerate(values)}
    shades = np.linspace(_DARKEST, _BRIGHTEST, len(values))
    return {value: matplotlib.colormaps["viridis"](shade) for value, shade in zip(values, shades, strict=True)}


def _draw_panel(
    axes: Axes, cells: Sequence[Combination], across: int, runs: Mapping[str, RunResult], colors: Mapping[str, Any], scale: Scale
) -> None:
    style.grid(axes)
    for cell in cells:
        for run in (runs[row["cell"]] for row in cell.rows if row["cell"] in runs):
            accuracy = accuracies(run.rounds)
            known = np.isfinite(accuracy)
            times = floats(run.rounds, "virtual_time")[known] / scale.factor
            axes.plot(times, accuracy[known], color=colors[cell.values[across]], linewidth=0.9, clip_on=False)


def _legend(colors: Mapping[str, Any]) -> list[Line2D]:
    return [Line2D([], [], color=color, label=style.shortened(value_label(value), 24)) for value, color in colors.items()]
