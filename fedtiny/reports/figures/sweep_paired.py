"""Figure: what a choice is worth at each place of a sweep: how many times sooner the target is reached than with its first value.

Paired by seed: the geometric mean of the ratios and its 95 % interval. Above 1, in one colour, the choice is sooner; below, in the
other, later; an interval that includes 1 is in brackets. Cells in which one of the two does not fit, or does not reach the target
with every seed, say so.
"""

from dataclasses import dataclass
from typing import Final

import matplotlib
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from fedtiny.reports import style
from fedtiny.reports.cell_grid import DOES_NOT_FIT, FAILED, Face, draw_grid, new_grids
from fedtiny.reports.pairing import Pair, Pairing, choice_axes, pairings
from fedtiny.reports.quantities import number
from fedtiny.reports.sweep_axes import Layout, layout, ordered_values, titled, value_label
from fedtiny.results.sweep import SweepResult

_CELL_HEIGHT: Final = 0.44
_MOST_PANELS: Final = 8
_LEAST_SPAN: Final = 1.5


@dataclass(frozen=True)
class _Panel:
    title: str
    pairs: tuple[tuple[dict[str, str], Pair], ...]


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """A map for every further value of a choice and every combination of the axes that are not across or up (eight at most); None
    without a choice beside the axis across, or without a pair that reached the target."""
    places = layout(sweep)
    if places is None or sweep.target_accuracy is None:
        return None
    placed = {places.across, places.up}
    found = [panel for pairing in pairings(sweep) if pairing.axis not in placed for panel in _panels(sweep, places, pairing)]
    parts = [panel for panel in found if any(pair.times_sooner() for _, pair in panel.pairs)][:_MOST_PANELS]
    if not parts or not set(choice_axes(sweep)) - placed:
        return None
    gains = [gain.mean for panel in parts for _, pair in panel.pairs if (gain := pair.times_sooner())]
    widest = max(_LEAST_SPAN, *gains, *(1 / gain for gain in gains))
    norm, colors = LogNorm(1 / widest, widest), matplotlib.colormaps["PuOr"]
    figure, axes = new_grids(sweep, places, len(parts), _CELL_HEIGHT)
    for panel, part in zip(axes, parts, strict=True):
        draw_grid(panel, sweep, places, part.pairs, lambda pair: _face(pair, norm, colors))
        panel.set_title(style.shortened(part.title, 100 if len(parts) == 1 else 46))
    bar = figure.colorbar(ScalarMappable(norm, colors), ax=figure.axes, aspect=30, pad=0.02)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_ticks([tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if 1 / widest <= tick <= widest])
    bar.set_label(f"times sooner at {100 * sweep.target_accuracy:.3g} %")
    bar.outline.set_visible(False)
    return figure


def _panels(sweep: SweepResult, places: Layout, pairing: Pairing) -> list[_Panel]:
    """The pairs, parted by the values of the axes that are neither across nor up."""
    rest = [axis for axis in sweep.axes if axis != pairing.axis]
    others = [axis for axis in places.others if axis != pairing.axis]
    parts: dict[tuple[str, ...], list[tuple[dict[str, str], Pair]]] = {}
    for pair in pairing.pairs:
        values = dict(zip(rest, pair.values, strict=True))
        parts.setdefault(tuple(values[axis] for axis in others), []).append((values, pair))
    rank = {axis: {value: place for place, value in enumerate(ordered_values(sweep, axis))} for axis in others}
    ordered = sorted(parts, key=lambda at: [rank[axis][value] for axis, value in zip(others, at, strict=True)])
    head = f"{value_label(pairing.other)} against {value_label(pairing.first)}"
    return [_Panel(f"{head}: {titled(others, at)}" if others else head, tuple(parts[at])) for at in ordered]


def _face(pair: Pair, norm: LogNorm, colors: matplotlib.colors.Colormap) -> Face:
    gain = pair.times_sooner()
    if gain is None:
        return _without(pair)
    if gain.low is None or gain.high is None:
        return Face(f"{number(gain.mean)}", colors(norm(gain.mean)))
    ends = f"{number(gain.low)} to {number(gain.high)}"
    unsure = gain.low <= 1 <= gain.high
    return Face(f"{number(gain.mean)}\n({ends})" if unsure else f"{number(gain.mean)}\n{ends}", colors(norm(gain.mean)))


def _without(pair: Pair) -> Face:
    """Why there is no ratio."""
    fits = [cell.status != "infeasible" for cell in (pair.first, pair.other)]
    if not all(fits):
        text = "neither fits" if not any(fits) else "does not fit" if fits[0] else "only this fits"
        return Face(text, hatch=DOES_NOT_FIT)
    if not pair.seeds:
        return Face("failed", hatch=FAILED)
    reached = [len({*cell.known("time_to_target")} & {*pair.seeds}) for cell in (pair.other, pair.first)]
    return Face(f"{reached[0]} of {len(pair.seeds)} seeds\nagainst {reached[1]}")
