"""Figure: memory along one training step, layer by layer: forward, backward, update. One row per scheme, one column per accounting.

Every panel has a scale of its own, since between the full update in PyTorch and the last layer on a microcontroller there are
orders of magnitude, and the course is what it shows; how much it is at the peak stands in its title. The highest point is named.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedtiny.costs.ledger import Ledger
from fedtiny.reports import style
from fedtiny.reports.quantities import Scale, size, size_scale

_ROW_HEIGHT: Final = 1.12
_ALONE_HEIGHT: Final = 1.9
_AROUND: Final = 0.95
_ROOM: Final = 1.34
_LAYERS: Final = (
    ("parameters", style.BLUE, ("frozen_parameters", "trainable_parameters")),
    ("gradients, optimizer", style.SKY, ("gradients", "optimizer_state", "update_buffers")),
    ("strategy's vectors", style.PURPLE, ("client_vectors",)),
    ("batch, buffers", style.FADED, ("batch", "buffers")),
    ("saved activations", style.ORANGE, ("saved_activations",)),
    ("residual activations", style.VERMILLION, ("residual_activations",)),
    ("transient activations", style.GREEN, ("transient_activations",)),
)
"""What is stacked, from below: name, colour, items."""
_WIDEST_UPDATE: Final = 0.04
_NARROWEST_NAMED: Final = 0.1
_HALF_A_NAME: Final = 0.3


@style.paper()
def draw(steps: Sequence[tuple[str, str, Ledger]]) -> Figure:
    """The step of every (scheme, accounting, ledger); ledgers without moments, and pairs that are missing, leave a gap."""
    schemes = list(dict.fromkeys(scheme for scheme, _, _ in steps))
    accountings = list(dict.fromkeys(accounting for _, accounting, _ in steps))
    height = _AROUND + (_ROW_HEIGHT if len(schemes) > 2 else _ALONE_HEIGHT) * len(schemes)
    figure = style.new_figure(style.TWO_COLUMNS, height)
    grid = figure.subplots(len(schemes), len(accountings), squeeze=False)
    ledgers = {(scheme, accounting): ledger for scheme, accounting, ledger in steps}
    for row, scheme in enumerate(schemes):
        for column, accounting in enumerate(accountings):
            axes = grid[row, column]
            axes.set_title(style.shortened(scheme, 26) if column == 0 else "", fontsize=7)
            _draw_panel(axes, f"{accounting} " if row == 0 else "", ledgers.get((scheme, accounting)))
    figure.supylabel("memory for one batch", fontsize=8)
    figure.legend(
        handles=_legend([ledger for _, _, ledger in steps]), loc="outside lower left", ncols=4, handlelength=1.4, columnspacing=1.3
    )
    return figure


def _draw_panel(axes: Axes, accounting: str, ledger: Ledger | None) -> None:
    if ledger is None or not ledger.moments:
        axes.set_title(f"{accounting}–", loc="right", fontsize=7, fontweight="normal")
        axes.set_axis_off()
        return
    axes.set_title(f"{accounting}{size(ledger.total_bytes)}", loc="right", fontsize=7, fontweight="normal")
    scale = size_scale(ledger.total_bytes)
    _draw_step(axes, ledger, scale)
    axes.set_ylim(0, _ROOM * scale(ledger.total_bytes))
    axes.set_ylabel(scale.unit, fontsize=7)
    style.grid(axes, "y")


def _draw_step(axes: Axes, ledger: Ledger, scale: Scale) -> None:
    moments = ledger.moments
    places = _places([moment.phase for moment in moments])
    below = [0.0] * len(moments)
    for _, color, items in _LAYERS:
        above = [under + scale(sum(moment.items.get(item, 0) for item in items)) for under, moment in zip(below, moments, strict=True)]
        if above != below:
            axes.stairs(above, places, baseline=below, fill=True, color=color, linewidth=0)
        below = above
    _name_phases(axes, [moment.phase for moment in moments], places)
    _name_peak(axes, ledger, places, below)


def _places(phases: Sequence[str]) -> list[float]:
    """Where the moments begin and where the last one ends, from 0 to 1; the update is a stretch of its own, wide enough to see."""
    layers = sum(phase != "update" for phase in phases)
    wide = _WIDEST_UPDATE if layers < len(phases) else 0.0
    places = [0.0]
    for phase in phases:
        places.append(places[-1] + (wide / (len(phases) - layers) if phase == "update" else (1 - wide) / layers))
    return places


def _name_phases(axes: Axes, phases: Sequence[str], places: Sequence[float]) -> None:
    start = 0
    ticks = []
    for phase, members in groupby(phases):
        end = start + len(list(members))
        if places[end] - places[start] > _NARROWEST_NAMED:
            ticks.append(((places[start] + places[end]) / 2, phase))
        if start:
            axes.axvline(places[start], color=style.SOFT, linewidth=0.6, linestyle=(0, (2, 2)))
        start = end
    axes.set_xlim(0, 1)
    axes.set_xticks([place for place, _ in ticks], [phase for _, phase in ticks])
    axes.tick_params(axis="x", length=0)


def _name_peak(axes: Axes, ledger: Ledger, places: Sequence[float], tops: Sequence[float]) -> None:
    number = max(range(len(tops)), key=lambda one: tops[one])
    place = (places[number] + places[number + 1]) / 2
    axes.plot([place], [tops[number]], marker="v", color=style.INK, markersize=3.5, clip_on=False, linestyle="")
    layer = style.shortened(ledger.peak_layer or ledger.moments[number].phase, 22)
    # in the middle above the point, but inside the panel
    inside = min(max(place, _HALF_A_NAME), 1 - _HALF_A_NAME)
    axes.annotate(layer, (inside, tops[number]), (0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=6)


def _legend(ledgers: Sequence[Ledger]) -> list[Patch]:
    """What weighs anything anywhere."""
    present = {item for ledger in ledgers for moment in ledger.moments for item, weight in moment.items.items() if weight}
    return [Patch(facecolor=color, label=name) for name, color, items in _LAYERS if present & set(items)]
