"""Figure: the trials of a search with several objectives, two of these in each panel, and its Pareto front.

The front is that of all objectives together. With two of them it is a line; with more, a trial on it may look beaten in a panel, because
it is better in what another panel shows.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations as pairs_of
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedtiny.reports import style
from fedtiny.reports.search_trials import Trial, scale_of, titled, trials
from fedtiny.reports.sweep_axes import value_label
from fedtiny.results.objectives import Objective
from fedtiny.results.sweep import SweepResult

_PANEL_HEIGHT: Final = 2.15
_LEGEND_ROW: Final = 0.155
_LABEL_LENGTH: Final = 88
_MOST_NAMED: Final = 8
_MOST_WITH_ALL_PAIRS: Final = 3
_LOGARITHMIC_FROM: Final = 20.0

_NEAR: Final = (0.045, 0.09)
"""Shares of a panel's width and height."""

_Point = tuple[Trial, Mapping[str, float]]
_Place = tuple[float, float]


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """None for what is no search, for one with one objective, and where no trial has all values."""
    if sweep.search is None or len(sweep.search.objectives) < 2:
        return None
    # what should be high goes upwards, so that lines of the front are steps to the right
    wanted = sorted(sweep.search.wanted, key=lambda one: one.direction != "maximize")
    points = _points(trials(sweep), sweep.search.wanted)
    pairs = list(pairs_of(wanted, 2)) if len(wanted) <= _MOST_WITH_ALL_PAIRS else [(wanted[0], other) for other in wanted[1:]]
    best = [trial for trial, values in sorted(points, key=lambda point: point[1][pairs[0][1].name]) if trial.on_front]
    if not best:
        return None
    letters = {trial.number: chr(ord("a") + place) for place, trial in enumerate(best)} if len(best) <= _MOST_NAMED else {}
    columns, lines = min(2, len(pairs)), -(-len(pairs) // 2)
    figure = style.new_figure(style.TWO_COLUMNS, lines * _PANEL_HEIGHT + 0.1 + _LEGEND_ROW * (len(letters) + 2))
    panels = figure.subplots(lines, columns, squeeze=False)
    for axes, (up, across) in zip(panels.flat, pairs, strict=False):
        _draw_panel(axes, points, up, across, letters, as_line=len(wanted) == 2)
    for axes in panels.flat[len(pairs) :]:
        axes.set_visible(False)
    figure.legend(handles=_legend(best, letters), loc="outside upper left")
    return figure


def _points(found: Sequence[Trial], wanted: Sequence[Objective]) -> list[_Point]:
    """The trials that have all values, by the names of their objectives."""
    named = [(one, {goal.name: value for goal, value in zip(wanted, one.values, strict=True) if value is not None}) for one in found]
    return [(one, values) for one, values in named if len(values) == len(wanted)]


def _draw_panel(
    axes: Axes, points: Sequence[_Point], up: Objective, across: Objective, letters: Mapping[int, str], *, as_line: bool
) -> None:
    scales = {goal.name: scale_of(goal, max(values[goal.name] for _, values in points)) for goal in (up, across)}

    def place(values: Mapping[str, float]) -> _Place:
        return scales[across.name](values[across.name]), scales[up.name](values[up.name])

    rest = [place(values) for trial, values in points if not trial.on_front]
    best = sorted((place(values), trial.number) for trial, values in points if trial.on_front)
    axes.plot(*_apart(rest), linestyle="", marker="o", color=style.SOFT, markerfacecolor="none")
    look = "-" if as_line else ""
    axes.plot(*_apart([point for point, _ in best]), marker="s", color=style.BLUE, linestyle=look, drawstyle="steps-post")
    for goal, axis in ((across, "x"), (up, "y")):
        values = [scales[goal.name](found[goal.name]) for _, found in points]
        if min(values) > 0 and max(values) > _LOGARITHMIC_FROM * min(values):
            axes.set(**{f"{axis}scale": "log"})
        axes.set(**{f"{axis}label": titled(goal, scales[goal.name])})
    axes.margins(x=0.08, y=0.12)
    style.grid(axes)
    for point, text in _together(axes, [(point, letters[number]) for point, number in best if number in letters]):
        axes.annotate(text, point, (-3, 4), textcoords="offset points", ha="right", fontsize=7)


def _together(axes: Axes, lettered: Sequence[tuple[_Place, str]]) -> list[tuple[_Place, str]]:
    """The letters of points, those of points that lie too near each other to be told apart together at the first of them."""
    axes.autoscale_view()
    on_page = axes.transScale + axes.transLimits
    groups: list[tuple[_Place, str]] = []
    for point, letter in lettered:
        x, y = on_page.transform(point)
        near = [
            place
            for place, (other, _) in enumerate(groups)
            if abs(x - on_page.transform(other)[0]) < _NEAR[0] and abs(y - on_page.transform(other)[1]) < _NEAR[1]
        ]
        if near:
            groups[near[0]] = (groups[near[0]][0], f"{groups[near[0]][1]}, {letter}")
        else:
            groups.append((point, letter))
    return groups


def _apart(points: Sequence[_Place]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _legend(best: Sequence[Trial], letters: Mapping[int, str]) -> list[Line2D]:
    marks = [
        Line2D([], [], color=style.BLUE, marker="s", linestyle="", label="on the front: no other is as good in all and better in one"),
        Line2D([], [], color=style.SOFT, marker="o", markerfacecolor="none", linestyle="", label="another trial"),
    ]
    values = {one.number: ", ".join(map(value_label, one.combination.values)) for one in best}
    named = [f"{letter}: {style.shortened(values[number], _LABEL_LENGTH)} (trial {number})" for number, letter in letters.items()]
    return [*marks, *(Line2D([], [], linestyle="", label=label) for label in named)]
