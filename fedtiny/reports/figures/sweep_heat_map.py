"""Figure: a sweep as a heat map over two of its axes, mean and 95 % interval over the seeds in every cell.

The colour is the time to the target accuracy where the sweep has a target that any cell reached, else the final accuracy.
Cells that do not fit the devices' memory are hatched; cells that failed, or did not reach the target with every seed, say so
and have no colour.
"""

from typing import Final

from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.cell_grid import DOES_NOT_FIT, FAILED, Face, draw_grid, new_grids, with_values
from fedtiny.reports.measure import Measure, measured
from fedtiny.reports.quantities import spread
from fedtiny.reports.sweep_axes import layout, panels
from fedtiny.results.sweep import Combination, SweepResult

_CELL_HEIGHT: Final = 0.44
_MOST_PANELS: Final = 6


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """One heat map, or one for each combination of the further axes (six at most); None without axes or without a result."""
    places, measure = layout(sweep), measured(sweep)
    if places is None or measure is None:
        return None
    parts = panels(sweep, places.others)[:_MOST_PANELS]
    figure, axes = new_grids(sweep, places, len(parts), _CELL_HEIGHT)
    for panel, (title, cells) in zip(axes, parts, strict=True):
        draw_grid(panel, sweep, places, with_values(sweep, cells), lambda cell: _face(cell, measure))
        panel.set_title(style.shortened(title, 100 if len(parts) == 1 else 46))
    bar = figure.colorbar(ScalarMappable(measure.norm, measure.colors), ax=figure.axes, aspect=30, pad=0.02)
    bar.set_label(measure.label)
    bar.outline.set_visible(False)
    return figure


def _face(cell: Combination, measure: Measure) -> Face:
    if cell.status == "infeasible":
        return Face("does not fit", hatch=DOES_NOT_FIT)
    if cell.status == "failed":
        return Face("failed", hatch=FAILED)
    interval = cell.interval(measure.column)
    if interval is None:
        best, reached = cell.interval("accuracy"), len(cell.known(measure.column))
        text = f"{reached} of {len(cell.done)} seeds" if reached else "never"
        return Face(text if best is None else f"{text}\n(ends at {100 * best.mean:.1f} %)")
    half_width = None if interval.half_width is None else measure.scale(interval.half_width)
    few = "" if interval.count == len(cell.rows) else f"\n{interval.count} of {len(cell.rows)} seeds"
    return Face(f"{spread(measure.scale(interval.mean), half_width)}{few}", measure.colors(measure.norm(measure.scale(interval.mean))))
