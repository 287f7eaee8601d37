"""Figure: for whom the model is good, accuracy over virtual time by device class, one panel per run."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.curves import accuracy_axis, line_style
from fedtiny.reports.quantities import Scale, size, time_scale
from fedtiny.results.class_accuracy import ClassAccuracy, accuracy_by_class, classes_hold_different_labels
from fedtiny.results.metrics import floats
from fedtiny.results.record import RunResult

_MOST_RUNS: Final = 6
_PANEL: Final = 1.9
_LEGEND_ROW: Final = 0.17


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """One line per device class on the labels it holds; None if the classes of no run hold different labels, or nothing was evaluated."""
    every = [(result, accuracy_by_class(result.devices, result.labels)) for result in results]
    shown = [(result, curves) for result, curves in every if len(curves) > 1 and classes_hold_different_labels(result.devices)][:_MOST_RUNS]
    if not shown:
        return None
    columns = min(len(shown), 3)
    rows = -(-len(shown) // columns)
    entries = max(len(curves) for _, curves in shown)
    figure = style.new_figure(style.TWO_COLUMNS, 0.5 + _LEGEND_ROW * entries + _PANEL * rows)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    end = max(float(floats(result.rounds, "virtual_time").max()) for result, _ in shown)
    scale = time_scale(end)
    for axes, (result, curves) in zip(panels, shown, strict=False):
        _draw_run(axes, result, curves, scale)
        if len(shown) > 1:
            axes.set_title(style.shortened(result.name, 30))
    panels[0].set_xlim(0, scale(end) or None)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    largest = next(axes for axes, (_, curves) in zip(panels, shown, strict=False) if len(curves) == entries)
    figure.legend(handles=largest.get_lines()[:entries], loc="outside upper left")
    return figure


def _draw_run(axes: Axes, result: RunResult, curves: Sequence[ClassAccuracy], scale: Scale) -> None:
    rounds = np.asarray(result.rounds["round"].to_numpy())
    times = floats(result.rounds, "virtual_time")
    style.grid(axes)
    for position, curve in enumerate(curves):
        at = times[np.searchsorted(rounds, curve.rounds)]
        budget = result.devices["memory_budget"][int(curve.device_class.rows[0])].as_py()
        label = f"{style.shortened(curve.device_class.label, 60)}, {size(budget)}"
        axes.plot(scale(1.0) * at, curve.accuracy, clip_on=False, label=label, **line_style(position, at.size))
    accuracy_axis(axes, set())
    axes.set_xlabel(f"virtual time ({scale.unit})")
    axes.label_outer()
