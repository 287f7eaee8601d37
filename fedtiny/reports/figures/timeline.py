"""Figure: what devices do in a window of virtual time, a space-time diagram.

A row is a device. In its middle the processor: broad where it works (the number is the round), narrow where it waits; above
it the downlink and below it the uplink; a thin line on top where a radio wakes, or is awake and sends nothing. A slanted stroke
is a message on its way: it leaves the link and arrives one latency later. The window lies in the middle of the run, where nothing
of the start is left; several runs are drawn on the same time scale, so a shorter round is a shorter round.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import blended_transform_factory

from fedtiny.reports import style
from fedtiny.reports.quantities import Scale, time_scale
from fedtiny.reports.window import Window, windows_of
from fedtiny.results.metrics import PROCESSOR_KINDS, WORK_KINDS, floats
from fedtiny.results.record import TRANSFERS, RunResult

_ROW_HEIGHT: Final = 0.27
_CLASS_LABEL: Final = 0.8
_NARROWEST_NUMBERED: Final = 0.022
_MOST_LABELLED_VERSIONS: Final = 9
_WORK: Final = (0.31, 0.38)
_WAIT: Final = (0.41, 0.18)
_LINKS: Final = {"download": (0.04, 0.11), "upload": (0.73, 0.11)}
_RADIO: Final = (0.0, 0.035)
_BACKED: Final = {"facecolor": style.PAPER, "linewidth": 0, "pad": 1.5}
_FLIGHTS: Final = {"download": (0.15, 0.31), "upload": (0.84, 1.0)}


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """A panel per run, all with the same seconds per inch; None if no run did anything."""
    windows = windows_of(results)
    if not windows:
        return None
    heights = [_rows_height(window) for window in windows]
    figure = style.new_figure(style.TWO_COLUMNS, 0.75 + _ROW_HEIGHT * sum(heights) + 0.34 * len(windows))
    panels: list[Axes] = list(figure.subplots(len(windows), 1, squeeze=False, height_ratios=heights)[:, 0])
    scale = time_scale(windows[0].length)
    kinds: set[str] = set()
    for axes, window in zip(panels, windows, strict=True):
        kinds |= _draw_window(axes, window, scale)
        if len(results) > 1:
            axes.set_title(style.shortened(window.result.name, 80), pad=12)
        axes.set_xlabel(f"virtual time ({scale.unit}) since {window.start_text}" if window.start else f"virtual time ({scale.unit})")
    figure.legend(handles=_legend(kinds), loc="outside lower left", ncols=8, columnspacing=1.3, handlelength=1.5, handletextpad=0.5)
    return figure


def _rows_height(window: Window) -> float:
    return sum(_CLASS_LABEL + len(numbers) for _, numbers in window.rows)


def _draw_window(axes: Axes, window: Window, scale: Scale) -> set[str]:
    """Draws the rows from the top down and gives the kinds of activity that they show."""
    kinds: set[str] = set()
    ticks: dict[float, str] = {}
    beside = blended_transform_factory(axes.transAxes, axes.transData)
    top = 0.0
    for label, numbers in window.rows:
        axes.text(
            0, top + 0.5 * _CLASS_LABEL, label, transform=beside, va="center", fontsize=7, color=style.SOFT, fontweight="bold", bbox=_BACKED
        )
        top += _CLASS_LABEL
        for number in numbers:
            kinds |= _draw_device(axes, window, number, top, scale)
            ticks[top + 0.5] = str(number)
            top += 1
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(top + 0.1, 0)
    axes.set_xlim(0, scale(window.length))
    axes.set_ylabel("device")
    _draw_versions(axes, window, scale)
    return kinds


def _draw_device(axes: Axes, window: Window, number: int, top: float, scale: Scale) -> set[str]:
    mine = window.activities.filter(pc.equal(window.activities["device"], number))
    shown = {*pc.unique(mine["kind"]).to_pylist()} | ({"lost"} & {*pc.unique(mine["outcome"]).to_pylist()})
    for kind in PROCESSOR_KINDS:
        _draw_work(axes, window, mine.filter(pc.equal(mine["kind"], kind)), kind, top, scale)
    for kind in ("promotion", "tail"):
        starts, ends = window.clipped(mine.filter(pc.equal(mine["kind"], kind)))
        spans = [(scale(start), scale(end - start)) for start, end in zip(starts, ends, strict=True)]
        axes.broken_barh(spans, (top + _RADIO[0], _RADIO[1]), facecolor=style.ACTIVITY_COLORS[kind], linewidth=0)
    for kind in TRANSFERS:
        _draw_transfers(axes, window, mine.filter(pc.equal(mine["kind"], kind)), kind, top, scale)
    return shown


def _draw_work(axes: Axes, window: Window, work: pa.Table, kind: str, top: float, scale: Scale) -> None:
    starts, ends = window.clipped(work)
    lane = _WORK if kind in WORK_KINDS else _WAIT
    spans = [(scale(start), scale(end - start)) for start, end in zip(starts, ends, strict=True)]
    axes.broken_barh(
        spans,
        (top + lane[0], lane[1]),
        facecolor=style.ACTIVITY_COLORS[kind],
        edgecolor=style.SOFT if kind == "offline" else style.PAPER,
        linewidth=0.5 if lane is _WORK else 0,
        hatch="////" if kind == "offline" else None,
    )
    if kind != "train":
        return
    for start, end, round_number in zip(starts, ends, work["round"].to_pylist(), strict=True):
        if round_number is not None and end - start > _NARROWEST_NUMBERED * window.length:
            middle = (scale((start + end) / 2), top + 0.5)
            ink = style.ink_on(style.ACTIVITY_COLORS[kind])
            axes.annotate(str(round_number), middle, color=ink, fontsize=6, ha="center", va="center_baseline")


def _draw_transfers(axes: Axes, window: Window, transfers: pa.Table, kind: str, top: float, scale: Scale) -> None:
    color = style.ACTIVITY_COLORS[kind]
    is_lost = pc.equal(transfers["outcome"], "lost")
    for part, face in ((transfers.filter(pc.invert(is_lost)), color), (transfers.filter(is_lost), "none")):
        starts, ends = window.clipped(part)
        spans = [(scale(start), scale(end - start)) for start, end in zip(starts, ends, strict=True)]
        axes.broken_barh(spans, (top + _LINKS[kind][0], _LINKS[kind][1]), facecolor=face, edgecolor=color, linewidth=0.5)
    leave, land = (top + y for y in _FLIGHTS[kind])
    departures, arrivals = floats(transfers, "end") - window.start, floats(transfers, "arrival") - window.start
    strokes = [((scale(d), leave), (scale(a), land)) for d, a in zip(departures, arrivals, strict=True) if np.isfinite(a)]
    axes.add_collection(LineCollection(strokes, colors=color, linewidths=0.8), autolim=False)


def _draw_versions(axes: Axes, window: Window, scale: Scale) -> None:
    """A dotted line at every new version of the global model, labelled above the rows where there is room."""
    times = floats(window.result.rounds, "virtual_time") - window.start
    inside = np.flatnonzero((times >= 0) & (times <= window.length))
    every = -(-inside.size // _MOST_LABELLED_VERSIONS)
    above = blended_transform_factory(axes.transData, axes.transAxes)
    for position, row in enumerate(inside):
        axes.axvline(scale(times[row]), color=style.INK, linewidth=0.6, linestyle=(0, (1, 2)), zorder=0.5)
        if position % every == 0:
            text = f"model {window.result.rounds['round'][int(row)].as_py()}"
            axes.text(scale(times[row]), 1.0, text, transform=above, ha="center", va="bottom", fontsize=6.5, color=style.SOFT)


def _legend(kinds: set[str]) -> list[Any]:
    handles: list[Any] = [
        Patch(
            facecolor=style.ACTIVITY_COLORS[kind],
            label=kind,
            hatch="////" if kind == "offline" else None,
            edgecolor=style.SOFT,
            linewidth=0,
        )
        for kind in style.ACTIVITY_COLORS
        if kind in kinds
    ]
    if "lost" in kinds:
        handles.append(Patch(facecolor="none", edgecolor=style.SOFT, linewidth=0.5, label="lost"))
    if kinds & set(TRANSFERS):
        handles.append(Line2D([], [], color=style.SOFT, linewidth=0.8, label="message on its way"))
    return handles
