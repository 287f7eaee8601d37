"""Learning curves: accuracy above, loss below, one line per run, across whatever the runs are charged in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from fedtiny.reports import style
from fedtiny.reports.quantities import Scale
from fedtiny.results.metrics import FloatArray, floats
from fedtiny.results.record import RunResult

_MARKED_POINTS: Final = 30
_LABEL_LENGTH: Final = 40
_LEGEND_ROW: Final = 0.155
_HEIGHTS: Final = {"accuracy": 1.75, "loss": 1.15}
_LOGARITHMIC_FROM: Final = 50.0


@dataclass(frozen=True)
class Across:
    """What curves go across: its value for every version (versions,), its scale, and a label with a place for the unit."""

    values: Callable[[pa.Table], FloatArray]
    scale: Callable[[float], Scale]
    label: str


def draw_curves(results: Sequence[RunResult], across: Across) -> Figure | None:
    """Accuracy and loss of the runs across the same quantity; None if no run has two points."""
    shown = [column for column in _HEIGHTS if any(_points(result, across, column)[0].size > 1 for result in results)]
    if not shown:
        return None
    legend_height = _LEGEND_ROW * len(results) if len(results) > 1 else 0.0
    heights = [_HEIGHTS[column] for column in shown]
    figure = style.new_figure(style.ONE_COLUMN, 0.5 + legend_height + sum(heights))
    panels: list[Axes] = list(figure.subplots(len(shown), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0])
    scale = across.scale(max(float(_known(across.values(result.rounds)).max(initial=0.0)) for result in results))
    for axes, column in zip(panels, shown, strict=True):
        for position, result in enumerate(results):
            x, y = _points(result, across, column)
            axes.plot(scale(1.0) * x, y, clip_on=False, label=style.shortened(result.name, _LABEL_LENGTH), **line_style(position, x.size))
        _dress(axes, column, results)
    panels[-1].set_xlabel(across.label.format(unit=scale.unit))
    panels[-1].set_xlim(left=0)
    if not scale.unit:
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    if len(results) > 1:
        figure.legend(handles=panels[0].get_lines()[: len(results)], loc="outside upper left")
    return figure


def line_style(position: int, points: int) -> dict[str, Any]:
    """Colour, dash and marker of the n-th line; a line of many points goes unmarked."""
    turn = position + position // len(style.CYCLE)
    return {
        "color": style.CYCLE[position % len(style.CYCLE)],
        "linestyle": style.DASHES[turn % len(style.DASHES)],
        "marker": style.MARKERS[turn % len(style.MARKERS)] if points <= _MARKED_POINTS else "",
    }


def accuracy_axis(axes: Axes, targets: set[float]) -> None:
    """The y axis of accuracies: per cent, and a dashed line at each target."""
    axes.set_ylabel("accuracy (%)")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{round(100 * value, 6):g}"))
    for target in sorted(targets):
        axes.axhline(target, color=style.SOFT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        # outside, where no curve runs
        axes.annotate(
            f"target\n{100 * target:.3g} %", (1, target), (3, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            ha="left", va="center", fontsize=7, color=style.SOFT,
        )  # fmt: skip


def _dress(axes: Axes, column: str, results: Sequence[RunResult]) -> None:
    style.grid(axes)
    if column == "accuracy":
        accuracy_axis(axes, {target for result in results if (target := result.summary.get("target_accuracy")) is not None})
        return
    axes.set_ylabel("loss")
    values = np.concatenate([_known(floats(result.rounds, "loss")) for result in results])
    if values.min() > 0 and values.max() > _LOGARITHMIC_FROM * values.min():
        axes.set_yscale("log")


def _points(result: RunResult, across: Across, column: str) -> tuple[FloatArray, FloatArray]:
    x, y = across.values(result.rounds), floats(result.rounds, column)
    known = np.isfinite(x) & np.isfinite(y)
    return x[known], y[known]


def _known(values: FloatArray) -> FloatArray:
    return values[np.isfinite(values)]
