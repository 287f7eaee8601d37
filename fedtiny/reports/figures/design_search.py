"""Figure: what a search of architectures looked at: accuracy against work and memory, with the Pareto front, and generation by generation.

The front is that of accuracy, multiply-accumulates and all needs together, so that in one panel a network on it may look beaten. Networks
that a device could not take were never trained, so there are none beyond the line.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.quantities import size_scale

_HEIGHT: Final = 2.5
_PERCENT: Final = 100
_MILLION: Final = 1e6


@style.paper()
def draw(document: Mapping[str, Any]) -> Figure:
    """Of a design's document."""
    figure = style.new_figure(style.TWO_COLUMNS, _HEIGHT)
    work, memory, generations = figure.subplots(1, 3)
    evaluated = document["evaluated"]
    _draw_points(work, [one["macs"] / _MILLION for one in evaluated], document)
    work.set_xlabel("MACs of an inference (millions)")
    work.set_ylabel("validation accuracy (%)")
    _draw_memory(memory, document)
    _draw_generations(generations, document)
    for axes in (work, memory, generations):
        style.grid(axes)
    figure.legend(*work.get_legend_handles_labels(), loc="outside upper left", ncols=3)
    return figure


def _draw_points(axes: Axes, across: Sequence[float], document: Mapping[str, Any]) -> None:
    evaluated = document["evaluated"]
    scores = [_PERCENT * one["score"] for one in evaluated]
    front = [place for place, one in enumerate(evaluated) if one["front"]]
    rest = [place for place, one in enumerate(evaluated) if not one["front"]]
    for places, color, label in ((rest, style.SOFT, "evaluated"), (front, style.BLUE, "on the front")):
        axes.plot(
            [across[place] for place in places],
            [scores[place] for place in places],
            linestyle="",
            marker="o",
            color=color,
            markerfacecolor="none" if color == style.SOFT else color,
            label=label,
        )
    found = document["found"]
    axes.plot([across[found]], [scores[found]], linestyle="", marker="s", markersize=6, color=style.VERMILLION, label="taken")


def _draw_memory(axes: Axes, document: Mapping[str, Any]) -> None:
    """Against the need that comes nearest to its bound, of those in bytes."""
    bounds = [bound for bound in document["bounds"] if bound["unit"] == "B"]
    if not bounds:
        axes.set_visible(False)
        return
    evaluated = document["evaluated"]
    tight = max(bounds, key=lambda bound: max(one["needs"][bound["name"]] for one in evaluated) / bound["most"])
    scale = size_scale(tight["most"])
    _draw_points(axes, [scale(one["needs"][tight["name"]]) for one in evaluated], document)
    axes.axvline(scale(tight["most"]), color=style.INK, linewidth=0.8, linestyle=style.DASHES[1])
    axes.set_xlabel(f"{tight['name']} ({scale.unit})")


def _draw_generations(axes: Axes, document: Mapping[str, Any]) -> None:
    scores = [[_PERCENT * document["evaluated"][place]["score"] for place in people] for people in document["generations"]]
    numbers = range(len(scores))
    axes.plot(numbers, [max(one) for one in scores], color=style.BLUE, marker=style.MARKERS[0], label="_best")
    axes.plot(numbers, [float(np.mean(one)) for one in scores], color=style.SOFT, linestyle=style.DASHES[1], label="_mean")
    axes.set_xlabel("generation (dashed: mean)")
