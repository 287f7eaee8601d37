"""Figure: final accuracy against time, memory, energy and bytes, a point for each run or combination, and the Pareto front of each."""

from collections.abc import Mapping, Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedtiny.reports import style
from fedtiny.reports.pareto import COSTS, Candidate, Cost, candidate_of_cell, candidates_of_runs, front
from fedtiny.reports.quantities import Scale
from fedtiny.reports.sweep_axes import value_label
from fedtiny.results.record import RunResult
from fedtiny.results.sweep import SweepResult, combinations

_PANEL_HEIGHT: Final = 2.05
_LOGARITHMIC_FROM: Final = 20.0
_LABEL_LENGTH: Final = 44
_LEGEND_ROW: Final = 0.155
_MOST_NAMED: Final = 6


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """Of runs side by side; None for one run alone."""
    return _draw(candidates_of_runs(results)) if len(results) > 1 else None


@style.paper()
def draw_sweep(sweep: SweepResult, runs: Mapping[str, RunResult]) -> Figure | None:
    """Of the combinations of a sweep, means over the seeds; None unless two have an accuracy."""
    named = ((cell, ", ".join(map(value_label, cell.values))) for cell in combinations(sweep))
    return _draw([one for cell, name in named if (one := candidate_of_cell(cell, name, runs)) is not None])


def _draw(candidates: Sequence[Candidate]) -> Figure | None:
    """A panel for each cost in which candidates differ; those that are on a front have letters, which the legend explains."""
    costs = [cost for cost in COSTS if len({one.costs[cost.column] for one in candidates if cost.column in one.costs}) > 1]
    if not costs:
        return None
    best = [one for one in candidates if any(one in front(candidates, cost.column) for cost in costs)]
    letters = {one.name: chr(ord("a") + place) for place, one in enumerate(best)} if len(best) <= _MOST_NAMED else {}
    lines = -(-len(costs) // 2)
    figure = style.new_figure(style.TWO_COLUMNS, lines * _PANEL_HEIGHT + 0.1 + _LEGEND_ROW * (len(letters) + 1))
    panels = figure.subplots(lines, min(2, len(costs)), squeeze=False, sharey=True)
    for axes, cost in zip(panels.flat, costs, strict=False):
        _draw_panel(axes, candidates, cost, letters)
    for axes in panels[:, 0]:
        axes.set_ylabel("final accuracy (%)")
    for axes in panels.flat[len(costs) :]:
        axes.set_visible(False)
    figure.legend(handles=_legend(letters), loc="outside upper left")
    return figure


def _draw_panel(axes: Axes, candidates: Sequence[Candidate], cost: Cost, letters: Mapping[str, str]) -> None:
    priced = [one for one in candidates if cost.column in one.costs]
    values = [one.costs[cost.column] for one in priced]
    scale = cost.scale(max(values))
    best = front(priced, cost.column)
    rest = [one for one in priced if one not in best]
    axes.plot(*_points(rest, cost, scale), linestyle="", marker="o", color=style.SOFT, markerfacecolor="none")
    axes.plot(*_points(best, cost, scale), linestyle="-", marker="s", color=style.BLUE, drawstyle="steps-post")
    for one in best:
        if one.name in letters:
            place = (scale(one.costs[cost.column]), 100 * one.accuracy)
            axes.annotate(letters[one.name], place, (-3, 4), textcoords="offset points", ha="right", fontsize=7)
    if min(values) > 0 and max(values) > _LOGARITHMIC_FROM * min(values):
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(f"{cost.label} ({scale.unit})")
    axes.margins(y=0.12)
    style.grid(axes)


def _points(candidates: Sequence[Candidate], cost: Cost, scale: Scale) -> tuple[list[float], list[float]]:
    return [scale(one.costs[cost.column]) for one in candidates], [100 * one.accuracy for one in candidates]


def _legend(letters: Mapping[str, str]) -> list[Line2D]:
    marks = [Line2D([], [], color=style.BLUE, marker="s", label="no other is both as accurate and as cheap")]
    named = [Line2D([], [], linestyle="", label=f"{letter}: {style.shortened(name, _LABEL_LENGTH)}") for name, letter in letters.items()]
    return marks + named
