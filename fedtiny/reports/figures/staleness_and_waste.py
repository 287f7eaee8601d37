"""Figure: how stale the contributions were, and how much of the compute and of the bytes no version of the model contains."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fedtiny.reports import style
from fedtiny.results.record import RunResult

REASON_COLORS: Final = {
    "lost": style.BLUE,
    "dropped": style.VERMILLION,
    "late": style.ORANGE,
    "unfinished": style.FADED,
    "interrupted": style.PURPLE,
}
_MOST_VALUES: Final = 40
"""More different stalenesses than these are drawn in groups of equal width."""
_WIDTH: Final = 0.8
_ROOM_FOR_LEGEND: Final = 1.4


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """Shares of contributions by staleness beside shares of what was done by the reason why it was for nothing; None without either."""
    known = [result for result in results if result.attribution.get("staleness")]
    if not known:
        return None
    wasted = [result for result in known if any(sum(result.attribution[what]["wasted"].values()) for what in ("compute", "bytes"))]
    figure = style.new_figure(style.TWO_COLUMNS, 1.9 + 0.16 * len(known) * bool(wasted))
    panels: list[Axes] = list(figure.subplots(1, 2 if wasted else 1, squeeze=False)[0])
    _draw_staleness(panels[0], known)
    if wasted:
        _draw_waste(panels[1], wasted, named=len(results) > 1)
    return figure


def _draw_staleness(axes: Axes, results: Sequence[RunResult]) -> None:
    largest = max(int(value) for result in results for value in result.attribution["staleness"])
    step = -(-(largest + 1) // _MOST_VALUES)
    for place, result in enumerate(results):
        counts = np.zeros(largest // step + 1)
        for value, count in result.attribution["staleness"].items():
            counts[int(value) // step] += count
        width = _WIDTH / len(results)
        middles = np.arange(len(counts)) - _WIDTH / 2 + width * (place + 0.5)
        color = style.CYCLE[place % len(style.CYCLE)]
        axes.bar(
            middles * step + (step - 1) / 2, 100 * counts / counts.sum(), width * step, color=color, label=style.shortened(result.name, 30)
        )
    axes.set_xlabel("versions between start and use")
    axes.set_ylabel("contributions (%)")
    axes.set_title("staleness")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(-0.7, max(largest, 1) + 0.7)
    axes.set_ylim(0, None)
    style.grid(axes)
    if len(results) > 1:
        axes.legend(fontsize=6.5, handlelength=1.2)


def _draw_waste(axes: Axes, results: Sequence[RunResult], *, named: bool) -> None:
    labels: list[str] = []
    for result in results:
        for what in ("compute", "bytes"):
            _draw_shares(axes, len(labels), result.attribution[what])
            labels.append(f"{style.shortened(result.name, 24)}: {what}" if named else what)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_xlabel("share that no version contains (%)")
    axes.set_title("waste")
    axes.set_xlim(0, _ROOM_FOR_LEGEND * max(axes.get_xlim()[1], 1.0))
    style.grid(axes, "x")
    reasons = [
        reason
        for reason in REASON_COLORS
        if any(result.attribution[what]["wasted"].get(reason) for result in results for what in ("compute", "bytes"))
    ]
    handles = [Patch(facecolor=REASON_COLORS[reason], label=reason) for reason in reasons]
    axes.legend(handles=handles, loc="upper right", fontsize=6.5, handlelength=1.2)


def _draw_shares(axes: Axes, place: int, done: dict[str, Any]) -> None:
    left = 0.0
    for reason, color in REASON_COLORS.items():
        share = 100 * done["wasted"].get(reason, 0.0) / done["all"] if done["all"] else 0.0
        axes.barh(place, share, 0.62, left, color=color, linewidth=0)
        left += share
