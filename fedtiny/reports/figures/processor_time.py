"""Figure: where the processors' time goes, for each device class of each run, from time 0 to the end of the run."""

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedtiny.reports import style
from fedtiny.results.metrics import PROCESSOR_KINDS, device_classes, processor_seconds
from fedtiny.results.record import RunResult

_ROW_HEIGHT: Final = 0.25
_LEAST_LABELLED: Final = 0.06


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """One stacked bar per device class, all bars of a run together; None if no processor did anything."""
    blocks = [(result.name, shares) for result in results if (shares := _shares(result))]
    if not blocks:
        return None
    rows = [len(shares) for _, shares in blocks]
    titles = len(blocks) if len(results) > 1 else 0
    figure = style.new_figure(style.TWO_COLUMNS, 0.8 + _ROW_HEIGHT * sum(rows) + 0.3 * titles)
    panels = list(figure.subplots(len(blocks), 1, sharex=True, squeeze=False, height_ratios=rows)[:, 0])
    for axes, (name, shares) in zip(panels, blocks, strict=True):
        _draw_block(axes, shares)
        if titles:
            axes.set_title(style.shortened(name, 80), pad=3)
    panels[-1].set_xlabel("share of the processors' time (%)")
    kinds = [kind for kind in PROCESSOR_KINDS if any(row[kind] > 0 for _, shares in blocks for row in shares.values())]
    handles = [
        Patch(facecolor=style.ACTIVITY_COLORS[kind], hatch=_hatch(kind), edgecolor=style.SOFT, linewidth=0, label=kind) for kind in kinds
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(kinds), handlelength=1.5, columnspacing=1.3, handletextpad=0.5)
    return figure


def _shares(result: RunResult) -> dict[str, dict[str, float]]:
    """For each class of devices that did anything, the share of each kind."""
    spent = processor_seconds(result.activities, result.devices)
    shares: dict[str, dict[str, float]] = {}
    for entry in device_classes(result.devices):
        totals = {kind: float(spent[kind][entry.rows].sum()) for kind in PROCESSOR_KINDS}
        whole = sum(totals.values())
        if whole > 0:
            shares[entry.label] = {kind: total / whole for kind, total in totals.items()}
    return shares


def _draw_block(axes: Axes, shares: dict[str, dict[str, float]]) -> None:
    for row, parts in enumerate(shares.values()):
        left = 0.0
        for kind, part in parts.items():
            axes.barh(
                row, 100 * part, 0.66, 100 * left, color=style.ACTIVITY_COLORS[kind], hatch=_hatch(kind), edgecolor=style.SOFT, linewidth=0
            )
            if part >= _LEAST_LABELLED:
                color = style.ink_on(style.ACTIVITY_COLORS[kind])
                axes.annotate(
                    f"{100 * part:.0f}", (100 * (left + part / 2), row), color=color, fontsize=6.5, ha="center", va="center_baseline"
                )
            left += part
    axes.set_yticks(range(len(shares)), [style.shortened(label, 44) for label in shares])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_xlim(0, 100)


def _hatch(kind: str) -> str | None:
    return "////" if kind == "offline" else None
