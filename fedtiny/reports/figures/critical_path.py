"""Figure: what the runs waited for: the seconds of their critical paths, per round and by cause, one bar for each run."""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedtiny.reports import style
from fedtiny.reports.quantities import Scale, percent, time_scale
from fedtiny.results.record import RunResult

CAUSE_COLORS: Final = {
    "compute": style.GREEN,
    "start_up": style.SKY,
    "upload": style.ORANGE,
    "download": style.BLUE,
    "latency": style.VERMILLION,
    "polling": style.PURPLE,
    "stall": style.SOFT,
    "timeout": style.FADED,
    "offline": style.PAPER,
    "out_of_memory": style.YELLOW,
}
_BAR: Final = 0.3
_LEAST_LABELLED: Final = 0.05


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """One stacked bar per run, all on one scale of seconds per round; None if no run made a version."""
    rows = [(result.name, seconds) for result in results if (seconds := _per_round(result))]
    if not rows:
        return None
    longest = max(sum(seconds.values()) for _, seconds in rows)
    figure = style.new_figure(style.TWO_COLUMNS, 0.85 + _BAR * len(rows))
    axes, scale = figure.subplots(), time_scale(longest)
    for place, (_, seconds) in enumerate(rows):
        _draw_bar(axes, place, seconds, longest, scale)
    axes.set_yticks(range(len(rows)), [style.shortened(name, 40) if len(results) > 1 else "" for name, _ in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, scale(longest) * (1.0 if len(rows) == 1 else 1.02))
    axes.set_xlabel(f"critical path, {scale.unit} per round")
    causes = [cause for cause in CAUSE_COLORS if any(cause in seconds for _, seconds in rows)]
    handles = [
        Patch(facecolor=CAUSE_COLORS[cause], label=cause.replace("_", "-" if cause == "start_up" else " "), **_outline(cause))
        for cause in causes
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(causes), handlelength=1.5, columnspacing=1.3, handletextpad=0.5)
    return figure


def _per_round(result: RunResult) -> dict[str, float]:
    """Seconds per round by cause, in the order of the legend; empty where there is no path."""
    seconds, rounds = result.attribution.get("critical_path", {}), result.summary.get("rounds")
    return {cause: seconds[cause] / rounds for cause in CAUSE_COLORS if seconds.get(cause)} if rounds else {}


def _draw_bar(axes: Axes, place: int, seconds: dict[str, float], longest: float, scale: Scale) -> None:
    left, whole = 0.0, sum(seconds.values())
    for cause, part in seconds.items():
        axes.barh(place, scale(part), 0.66, scale(left), color=CAUSE_COLORS[cause], **_outline(cause))
        if part >= _LEAST_LABELLED * longest:
            color = style.ink_on(CAUSE_COLORS[cause])
            middle = (scale(left + part / 2), place)
            axes.annotate(percent(part / whole), middle, color=color, fontsize=6.5, ha="center", va="center_baseline")
        left += part


def _outline(cause: str) -> dict[str, Any]:
    """Being away is hatched, as in the other figures."""
    return {"hatch": "////", "edgecolor": style.SOFT, "linewidth": 0.5} if cause == "offline" else {"linewidth": 0}
