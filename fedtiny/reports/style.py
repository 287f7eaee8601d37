"""How figures look: colours, sizes, and files whose bytes depend on the figure alone.

Colours are those of Okabe and Ito, which people with any of the common kinds of colour blindness can tell apart; lines
differ in dash and marker as well, so they survive a black and white printer.

Source of the palette: Okabe, Ito: Color Universal Design, 2008, jfly.uni-koeln.de/color.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Literal

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#1f2328"
SOFT: Final = "#6a737d"
RULE: Final = "#d8dde3"
PAPER: Final = "#ffffff"
FADED: Final = "#d3d8de"
ON_LIGHT, ON_DARK = "#16191d", "#fefefe"
BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00"
YELLOW: Final = "#f0e442"
CYCLE: Final = (BLUE, VERMILLION, GREEN, PURPLE, SKY, ORANGE)
DASHES: Final = ("-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (6, 1.6, 1.2, 1.6)), "-", (0, (5, 1.6)))
MARKERS: Final = ("o", "s", "^", "D", "v", "P")

PAGE_COLORS: Final = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    RULE: "var(--rule)",
    PAPER: "var(--paper)",
    FADED: "var(--faded)",
    BLUE: "var(--blue)",
}
"""What a page recolours for its dark mode; ON_LIGHT and ON_DARK stand on colours that do not change."""

ACTIVITY_COLORS: Final = {
    "train": GREEN,
    "evaluate": PURPLE,
    "paging": INK,
    "start_up": SKY,
    "stall": VERMILLION,
    "idle": FADED,
    "offline": PAPER,
    "download": BLUE,
    "upload": ORANGE,
    "promotion": SOFT,
    "tail": YELLOW,
}

ONE_COLUMN: Final = 3.5
TWO_COLUMNS: Final = 7.2
_PNG_DOTS_PER_INCH: Final = 200

_SETTINGS: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.frameon": False,
    "legend.fontsize": 7.5,
    "legend.handlelength": 2.4,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.2,
    "hatch.linewidth": 0.6,
    "hatch.color": SOFT,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "fedtiny",
    "svg.fonttype": "path",
}


@contextmanager
def paper() -> Iterator[None]:
    """Inside, matplotlib draws in this style, whatever the user's settings are; outside, nothing has changed."""
    with style.context(["default", _SETTINGS]):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    return Figure(figsize=(width, height))


def svg_text(figure: Figure) -> str:
    """The figure as SVG; no date, no program, fixed ids."""
    with paper(), io.StringIO() as sink:
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return sink.getvalue()


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG for twice the density of a screen; no date, no program."""
    with paper(), io.BytesIO() as sink:
        figure.savefig(sink, format="png", dpi=_PNG_DOTS_PER_INCH, metadata={"Software": None})
        return sink.getvalue()


def grid(axes: Axes, which: Literal["x", "y", "both"] = "y") -> None:
    """Faint lines at the ticks of one axis."""
    axes.grid(visible=True, axis=which)


def shortened(text: str, longest: int) -> str:
    """The text, its middle left out if it is too long to stand in a figure."""
    if len(text) <= longest:
        return text
    head = (longest - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"
