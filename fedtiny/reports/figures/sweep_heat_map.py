"""Figure: a sweep as a heat map over two of its axes, mean and 95 % interval over the seeds in every cell.

The colour is the time to the target accuracy where the sweep has a target that any cell reached, else the final accuracy.
Cells that do not fit the devices' memory are hatched; cells that never reached the target, or failed, say so.
"""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fedtiny.reports import style
from fedtiny.reports.measure import Measure, measured
from fedtiny.reports.quantities import spread
from fedtiny.reports.sweep_axes import Layout, layout, ordered_values, panels, value_label
from fedtiny.results.metrics import Interval
from fedtiny.results.sweep import Combination, SweepResult

_CELL_HEIGHT: Final = 0.44
_MOST_PANELS: Final = 6
_LABEL_LENGTH: Final = 26


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """One heat map, or one for each combination of the further axes (six at most); None without axes or without a result."""
    places, measure = layout(sweep), measured(sweep)
    if places is None or measure is None:
        return None
    parts = panels(sweep, places.others)[:_MOST_PANELS]
    rows = ordered_values(sweep, places.up) if places.up else [""]
    columns = 1 if len(parts) == 1 else 2
    lines = -(-len(parts) // columns)
    figure = style.new_figure(style.TWO_COLUMNS, lines * (0.75 + _CELL_HEIGHT * len(rows)) + 0.15)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for panel, (title, cells) in zip(axes.flat, parts, strict=False):
        _draw_panel(panel, sweep, places, cells, measure)
        panel.set_title(style.shortened(title, 100 if columns == 1 else 46))
    for panel in axes.flat[len(parts) :]:
        panel.set_visible(False)
    bar = figure.colorbar(ScalarMappable(measure.norm, measure.colors), ax=axes, aspect=30, pad=0.02)
    bar.set_label(measure.label)
    bar.outline.set_visible(False)
    return figure


def _draw_panel(axes: Axes, sweep: SweepResult, places: Layout, cells: Sequence[Combination], measure: Measure) -> None:
    columns, rows = ordered_values(sweep, places.across), ordered_values(sweep, places.up) if places.up else [""]
    keys = list(sweep.axes)
    for combination in cells:
        values = dict(zip(keys, combination.values, strict=True))
        column = columns.index(values[places.across])
        row = rows.index(values[places.up]) if places.up else 0
        _draw_cell(axes, column, row, combination, measure)
    axes.set_xticks(range(len(columns)), [style.shortened(value_label(value), _LABEL_LENGTH) for value in columns])
    axes.set_yticks(range(len(rows)), [style.shortened(value_label(value), _LABEL_LENGTH) for value in rows])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlabel(places.across)
    axes.set_ylabel(places.up or "")
    axes.label_outer()


def _draw_cell(axes: Axes, column: int, row: int, combination: Combination, measure: Measure) -> None:
    interval = combination.interval(measure.column)
    color = measure.colors(measure.norm(measure.scale(interval.mean))) if interval else None
    hatch = {"infeasible": "////", "failed": "xxxx"}.get(combination.status)
    border = style.RULE if color is None else color
    axes.add_patch(
        Rectangle((column - 0.48, row - 0.46), 0.96, 0.92, facecolor=color or style.PAPER, edgecolor=border, hatch=hatch, linewidth=0.6)
    )
    text = _cell_text(combination, interval, measure)
    ink = style.INK if color is None else style.ink_on(color)
    backing = {"facecolor": style.PAPER, "linewidth": 0, "pad": 1.5} if hatch else None
    axes.text(column, row, text, ha="center", va="center", fontsize=7, color=ink, bbox=backing, linespacing=1.25)


def _cell_text(combination: Combination, interval: Interval | None, measure: Measure) -> str:
    if combination.status == "infeasible":
        return "does not fit"
    if combination.status == "failed":
        return "failed"
    if interval is None:
        best = combination.interval("accuracy")
        return "never" if best is None else f"never\n(ends at {100 * best.mean:.1f} %)"
    half_width = None if interval.half_width is None else measure.scale(interval.half_width)
    few = "" if interval.count == len(combination.rows) else f"\n{interval.count} of {len(combination.rows)} seeds"
    return f"{spread(measure.scale(interval.mean), half_width)}{few}"
