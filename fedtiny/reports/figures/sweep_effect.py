"""Figure: what one axis of a sweep does to the time to target, one line for each combination of the other axes.

Points are means over the seeds, bars their 95 % confidence intervals. An open triangle at the upper edge is a
combination that never reached the target.
"""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.curves import line_style
from fedtiny.reports.measure import Measure, measured
from fedtiny.reports.sweep_axes import layout, ordered_values, panels, value_label
from fedtiny.results.sweep import Combination, SweepResult

_LABEL_LENGTH: Final = 56
_LEGEND_ROW: Final = 0.155
_MOST_LINES: Final = 12


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """The measure over the axis that heat maps have across; None without axes or without a result."""
    places, measure = layout(sweep), measured(sweep)
    if places is None or measure is None:
        return None
    others = tuple(axis for axis in sweep.axes if axis != places.across)
    lines = [part for part in panels(sweep, others) if any(cell.status == "done" for cell in part[1])][:_MOST_LINES]
    figure = style.new_figure(style.TWO_COLUMNS, 2.6 + _LEGEND_ROW * len(lines) * bool(others))
    axes = figure.subplots()
    columns = ordered_values(sweep, places.across)
    position = list(sweep.axes).index(places.across)
    for turn, (title, cells) in enumerate(lines):
        at = {columns.index(cell.values[position]): cell for cell in cells}
        _draw_line(axes, turn, title, at, measure)
    axes.set_xticks(range(len(columns)), [style.shortened(value_label(value), 20) for value in columns])
    axes.set_xlim(-0.4, len(columns) - 0.6)
    axes.set_xlabel(places.across)
    axes.set_ylabel(measure.label)
    if measure.column == "time_to_target":
        axes.set_ylim(bottom=0)
    style.grid(axes)
    if others:
        figure.legend(loc="outside upper left")
    return figure


def _draw_line(axes: Axes, turn: int, title: str, cells: dict[int, Combination], measure: Measure) -> None:
    points = [(column, interval) for column in sorted(cells) if (interval := cells[column].interval(measure.column)) is not None]
    columns = [column for column, _ in points]
    means = [measure.scale(interval.mean) for _, interval in points]
    widths = [measure.scale(interval.half_width or 0.0) for _, interval in points]
    look = line_style(turn, len(points))
    axes.errorbar(columns, means, yerr=widths, capsize=2.2, elinewidth=0.8, label=style.shortened(title, _LABEL_LENGTH), **look)
    _mark_never(axes, [column for column in cells if cells[column].status == "done" and column not in columns], look["color"])


def _mark_never(axes: Axes, columns: Sequence[int], color: str) -> None:
    for column in columns:
        axes.plot(
            [column],
            [0.97],
            transform=axes.get_xaxis_transform(),
            marker="^",
            markersize=5,
            color=color,
            markerfacecolor="none",
            linestyle="",
        )
