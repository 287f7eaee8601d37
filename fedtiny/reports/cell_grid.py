"""A grid of cells over two axes of a sweep, as heat maps draw it: in each cell a colour, a hatch and a text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.typing import ColorType

from fedtiny.reports import style
from fedtiny.reports.sweep_axes import Layout, ordered_values, value_label
from fedtiny.results.sweep import Combination, SweepResult

DOES_NOT_FIT: Final = "////"
FAILED: Final = "xxxx"
_LABEL_LENGTH: Final = 26
C = TypeVar("C")


@dataclass(frozen=True)
class Face:
    """How a cell looks: a text, a colour unless it has no value, a hatch where something kept it from running."""

    text: str
    color: ColorType | None = None
    hatch: str | None = None


def new_grids(sweep: SweepResult, places: Layout, panels: int, cell_height: float, *, most_across: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure with room for so many panels with a cell for every value of the two axes, `most_across` of them side by side."""
    rows = len(ordered_values(sweep, places.up)) if places.up else 1
    columns = min(panels, most_across)
    lines = -(-panels // columns)
    figure = style.new_figure(style.TWO_COLUMNS, lines * (0.75 + cell_height * rows) + 0.15)
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for panel in axes.flat[panels:]:
        panel.set_visible(False)
    return figure, list(axes.flat[:panels])


def draw_grid(axes: Axes, sweep: SweepResult, places: Layout, cells: Sequence[tuple[dict[str, str], C]], face: Callable[[C], Face]) -> None:
    """Draws what `face` says of each of the cells, each given with its values on the axes."""
    columns, rows = ordered_values(sweep, places.across), ordered_values(sweep, places.up) if places.up else [""]
    for values, cell in cells:
        _draw_cell(axes, columns.index(values[places.across]), rows.index(values[places.up]) if places.up else 0, face(cell))
    axes.set_xticks(range(len(columns)), [style.shortened(value_label(value), _LABEL_LENGTH) for value in columns])
    axes.set_yticks(range(len(rows)), [style.shortened(value_label(value), _LABEL_LENGTH) for value in rows])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xlabel(places.across)
    axes.set_ylabel(places.up or "")
    axes.label_outer()


def with_values(sweep: SweepResult, cells: Sequence[Combination]) -> list[tuple[dict[str, str], Combination]]:
    """Combinations with their values by axis."""
    return [(dict(zip(sweep.axes, cell.values, strict=True)), cell) for cell in cells]


def _draw_cell(axes: Axes, column: int, row: int, face: Face) -> None:
    border = style.RULE if face.color is None else face.color
    axes.add_patch(
        Rectangle(
            (column - 0.48, row - 0.46), 0.96, 0.92, facecolor=face.color or style.PAPER, edgecolor=border, hatch=face.hatch, linewidth=0.6
        )
    )
    ink = style.INK if face.color is None else style.ink_on(face.color)
    backing = {"facecolor": style.PAPER, "linewidth": 0, "pad": 1.5} if face.hatch else None
    axes.text(column, row, face.text, ha="center", va="center", fontsize=7, color=ink, bbox=backing, linespacing=1.25)
