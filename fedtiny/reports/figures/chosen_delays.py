"""Figure: the delay of every round, where it was chosen and not stated: one stepped line for each run."""

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedtiny.reports import style
from fedtiny.reports.curves import line_style
from fedtiny.results.metrics import changes_delay, floats
from fedtiny.results.record import RunResult

_LABEL_LENGTH: Final = 40
_LEGEND_ROW: Final = 0.155


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """Delays in local steps over rounds; a run whose delay stays the same is drawn beside one whose delay changes, None without such."""
    if not any(changes_delay(result.rounds) for result in results):
        return None
    delayed = [(place, result) for place, result in enumerate(results) if result.rounds["delay"].null_count < result.rounds.num_rows]
    named = len(results) > 1
    figure = style.new_figure(style.ONE_COLUMN, 1.9 + _LEGEND_ROW * len(delayed) * named)
    axes = figure.subplots()
    for place, result in delayed:
        look = line_style(place, result.rounds.num_rows) | {"marker": ""}
        label = style.shortened(result.name, _LABEL_LENGTH)
        axes.step(floats(result.rounds, "round"), floats(result.rounds, "delay"), where="mid", label=label, clip_on=False, **look)
    style.grid(axes)
    axes.set(xlabel="round", ylabel="delay (local steps)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    if named:
        figure.legend(handles=axes.get_lines(), loc="outside upper left")
    return figure
