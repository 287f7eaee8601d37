"""Figure: what the trials of a search with one objective came to, in their order, and the best of them so far.

A trial that never reached its target is an open triangle at the upper edge; one that does not fit the memory, or has no value for another
reason, is a cross at the lower edge.
"""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedtiny.reports import style
from fedtiny.reports.search_trials import Trial, scale_of, titled, trials
from fedtiny.results.objectives import Objective
from fedtiny.results.sweep import SweepResult

_LOGARITHMIC_FROM: Final = 20.0
_HEIGHT: Final = 2.4


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """None for what is no search, for one with several objectives, and where no trial has a value."""
    if sweep.search is None or len(sweep.search.objectives) != 1:
        return None
    found, objective = trials(sweep), sweep.search.wanted[0]
    known = [(one.number, value) for one in found if (value := one.values[0]) is not None]
    if not known:
        return None
    scale = scale_of(objective, max(value for _, value in known))
    figure = style.new_figure(style.TWO_COLUMNS, _HEIGHT)
    axes = figure.subplots()
    values = [scale(value) for _, value in known]
    axes.plot([number for number, _ in known], values, "o", color=style.SOFT, markerfacecolor="none", label="a trial")
    best = _best_so_far(known, objective, found[-1].number, scale(1.0))
    axes.plot(*best, color=style.BLUE, drawstyle="steps-post", label="the best so far")
    _mark(axes, found)
    if min(values) > 0 and max(values) > _LOGARITHMIC_FROM * min(values):
        axes.set_yscale("log")
    axes.margins(y=0.12)
    axes.set(xlabel="trial", ylabel=titled(objective, scale))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.grid(axes)
    figure.legend(loc="outside upper left", ncols=4)
    return figure


def _best_so_far(known: Sequence[tuple[int, float]], objective: Objective, last: int, factor: float) -> tuple[list[int], list[float]]:
    numbers, best = [known[0][0]], [known[0][1]]
    for number, value in known[1:]:
        if objective.loss(value) < objective.loss(best[-1]):
            numbers.append(number)
            best.append(value)
    return [*numbers, last], [factor * value for value in (*best, best[-1])]


def _mark(axes: Axes, found: Sequence[Trial]) -> None:
    without = [one for one in found if one.values[0] is None]
    for label, height, marker, chosen in (
        ("never reached its target", 0.96, "^", [one.number for one in without if one.ending == "never there"]),
        ("does not fit, or has no value", 0.04, "x", [one.number for one in without if one.ending != "never there"]),
    ):
        if chosen:
            look: dict[str, Any] = {"linestyle": "", "marker": marker, "color": style.VERMILLION, "markerfacecolor": "none"}
            axes.plot(chosen, [height] * len(chosen), transform=axes.get_xaxis_transform(), label=label, **look)
