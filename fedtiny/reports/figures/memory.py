"""Figure: the memory that training takes on each device class, item by item, against its budget.

A bar that does not fit is hatched: such devices are excluded. A budget far beyond what any class needs is not drawn to
scale but named at the edge, since a phone's gigabytes would leave nothing to see of a microcontroller's kilobytes.
"""

from collections.abc import Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fedtiny.reports import style
from fedtiny.reports.quantities import Scale, size, size_scale
from fedtiny.results.record import MemoryNeed, RunResult

_ROW_HEIGHT: Final = 0.34
_ROOM: Final = 1.12
_BUDGETS_BEYOND: Final = 1.6
_MOST_ITEMS: Final = 6
_COLORS: Final = (style.BLUE, style.SKY, style.ORANGE, style.GREEN, style.PURPLE, style.SOFT)


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """One bar per distinct (device class, scheme) of all runs; None if no memory was reckoned."""
    named = distinct_needs(results)
    if not named:
        return None
    needs = [need for need, _ in named]
    figure = style.new_figure(style.TWO_COLUMNS, 0.95 + _ROW_HEIGHT * len(needs))
    axes = figure.subplots()
    largest = max(need["total_bytes"] for need in needs)
    near = [need["budget"] for need in needs if need["budget"] <= _BUDGETS_BEYOND * largest]
    limit = _ROOM * max([largest, *near])
    scale = size_scale(limit)
    items = _item_names(needs)
    for row, need in enumerate(needs):
        _draw_need(axes, row, need, items, scale)
        _draw_budget(axes, row, need, limit, scale)
    axes.set_yticks(range(len(needs)), [style.shortened(label, 52) for label in _labels(named)])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(needs) - 0.45, -0.55)
    axes.set_xlim(0, scale(limit))
    axes.set_xlabel(f"training memory for one batch ({scale.unit})")
    style.grid(axes, "x")
    figure.legend(handles=_legend(needs, items), loc="outside lower left", ncols=4, handlelength=1.5, columnspacing=1.3, handletextpad=0.5)
    return figure


def distinct_needs(results: Sequence[RunResult]) -> list[tuple[MemoryNeed, list[str]]]:
    """What training needs in these runs, each once, with the names of the runs that need it."""
    kept: dict[tuple[str, str, int, int], tuple[MemoryNeed, list[str]]] = {}
    for result in results:
        for need in result.memory:
            names = kept.setdefault((need["profile"], need["scheme"], need["budget"], need["total_bytes"]), (need, []))[1]
            names += [result.name] if result.name not in names else []
    return list(kept.values())


def item_label(name: str) -> str:
    """An item's name in words."""
    return name.replace("_", " ")


def _labels(named: Sequence[tuple[MemoryNeed, list[str]]]) -> list[str]:
    """The device's name, with the scheme where there are several, and with the runs where that does not tell bars apart."""
    schemes = {need["scheme"] for need, _ in named}
    labels = [need["profile"] if len(schemes) == 1 else f"{need['profile']} · {need['scheme']}" for need, _ in named]
    return [f"{label} ({', '.join(names)})" if labels.count(label) > 1 else label for label, (_, names) in zip(labels, named, strict=True)]


def _item_names(needs: Sequence[MemoryNeed]) -> list[str]:
    """The items that weigh anything, in their own order; the smallest beyond six are drawn together as "other"."""
    weights: dict[str, int] = {}
    for need in needs:
        for name, weight in need["items"].items():
            weights[name] = max(weights.get(name, 0), weight)
    names = [name for name, weight in weights.items() if weight]
    if len(names) <= _MOST_ITEMS:
        return names
    largest = set(sorted(names, key=lambda name: -weights[name])[: _MOST_ITEMS - 1])
    return [name for name in names if name in largest]


def _draw_need(axes: Axes, row: int, need: MemoryNeed, items: Sequence[str], scale: Scale) -> None:
    parts = [need["items"].get(name, 0) for name in items]
    left = 0
    for color, part in zip(_COLORS, [*parts, need["total_bytes"] - sum(parts)], strict=False):
        axes.barh(
            row, scale(part), 0.5, scale(left), color=color, edgecolor=style.PAPER, linewidth=0.6, alpha=1.0 if need["fits"] else 0.45
        )
        left += part
    if not need["fits"]:
        axes.barh(row, scale(need["total_bytes"]), 0.5, facecolor="none", hatch="/////", edgecolor=style.INK, linewidth=0)


def _draw_budget(axes: Axes, row: int, need: MemoryNeed, limit: float, scale: Scale) -> None:
    paged = need.get("paged_bytes", 0)
    verdict = (f": pages {size(paged)} a step" if paged else "") if need["fits"] else ": does not fit"
    text = f"{size(need['total_bytes'])} of {size(need['budget'])}{verdict}"
    if need["budget"] <= limit:
        place = scale(need["budget"])
        axes.plot([place, place], [row - 0.36, row + 0.36], color=style.INK, linewidth=1.6, solid_capstyle="butt")
    beyond = need["budget"] > limit
    inside = max(need["total_bytes"], 0 if beyond else need["budget"])
    axes.annotate(
        text + ("  ▸" if beyond else ""), (scale(inside), row), (5, 0), textcoords="offset points", va="center_baseline", fontsize=7
    )


def _legend(needs: Sequence[MemoryNeed], items: Sequence[str]) -> list[Any]:
    handles: list[Any] = [Patch(facecolor=color, label=item_label(name)) for color, name in zip(_COLORS, items, strict=False)]
    if any(need["total_bytes"] > sum(need["items"].get(name, 0) for name in items) for need in needs):
        handles.append(Patch(facecolor=_COLORS[len(items)], label="other"))
    handles.append(
        Line2D([], [], color=style.INK, marker="|", markersize=9, markeredgewidth=1.6, linestyle="", label="budget (▸ far to the right)")
    )
    if not all(need["fits"] for need in needs):
        handles.append(Patch(facecolor="none", hatch="/////", edgecolor=style.INK, linewidth=0, label="does not fit"))
    return handles
