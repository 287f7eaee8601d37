"""How figures look: colours, sizes, and files whose bytes depend on the figure alone.

Colours are those of Okabe and Ito, which people with any of the common kinds of colour blindness can tell apart; lines
differ in dash and marker as well, so they survive a black and white printer.

Source of the palette: Okabe, Ito: Color Universal Design, 2008, jfly.uni-koeln.de/color.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

INK: Final = "#1f2328"
SOFT: Final = "#6a737d"
RULE: Final = "#d8dde3"
PAPER: Final = "#ffffff"
FADED: Final = "#d3d8de"
ON_LIGHT, ON_DARK = "#0a0b0d", "#fefefe"
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
_PRINTED_DOTS_PER_INCH: Final = 600

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


_PRINTED_SETTINGS: Final[dict[str, Any]] = {
    "font.family": ["STIXGeneral", "DejaVu Serif", "DejaVu Sans"],
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,
    "hatch.linewidth": 0.8,
    "text.color": "black",
    "axes.labelcolor": "black",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
}
_PRINTED_ONE_COLUMN: Final = 3.3
_PRINTED_TWO_COLUMNS: Final = 6.9
_is_printed: Final = ContextVar("figures are drawn for a printed paper", default=False)


@contextmanager
def paper() -> Iterator[None]:
    """Inside, matplotlib draws in this style, whatever the user's settings are; outside, nothing has changed."""
    with style.context(["default", _SETTINGS | (_PRINTED_SETTINGS if _is_printed.get() else {})]):
        yield


@contextmanager
def printed() -> Iterator[None]:
    """Inside, figures are drawn for a printed paper: 3.3 inches wide (wide ones 6.9, both columns), in a face with serifs that is embedded.

    The face is STIX, which comes with matplotlib and looks like Times; fonts stay TrueType (type 42), which publishers accept.
    """
    before = _is_printed.set(True)
    try:
        yield
    finally:
        _is_printed.reset(before)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; on printed paper as wide as one column or as two."""
    if _is_printed.get():
        width = _PRINTED_ONE_COLUMN if width <= ONE_COLUMN else _PRINTED_TWO_COLUMNS
    return Figure(figsize=(width, height))


def svg_text(figure: Figure) -> str:
    """The figure as SVG; no date, no program, fixed ids."""
    with paper(), io.StringIO() as sink:
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        return sink.getvalue()


def pdf_bytes(figure: Figure) -> bytes:
    """The figure as PDF with its fonts in it; no date, no program."""
    with paper(), io.BytesIO() as sink:
        figure.savefig(sink, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        return sink.getvalue()


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG for twice the density of a screen, or for print; no date, no program."""
    density = _PRINTED_DOTS_PER_INCH if _is_printed.get() else _PNG_DOTS_PER_INCH
    with paper(), io.BytesIO() as sink:
        figure.savefig(sink, format="png", dpi=density, metadata={"Software": None})
        return sink.getvalue()


def ink_on(color: ColorType) -> str:
    """The colour of text on a patch of this colour: the one that stands out more (WCAG 2.2, relative luminance and contrast ratio).

    Colours that a page makes dark in its dark mode get one that it makes light.
    """
    turned = {INK: PAPER, SOFT: PAPER, FADED: INK, PAPER: INK}
    if isinstance(color, str) and color in turned:
        return turned[color]
    return max((ON_LIGHT, ON_DARK), key=lambda ink: contrast(ink, color))


def contrast(first: ColorType, second: ColorType) -> float:
    """The contrast ratio of two opaque colours, from 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: ColorType) -> float:
    red, green, blue = (value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in to_rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def grid(axes: Axes, which: Literal["x", "y", "both"] = "y") -> None:
    """Faint lines at the ticks of one axis."""
    axes.grid(visible=True, axis=which)


def shortened(text: str, longest: int) -> str:
    """The text, its middle left out if it is too long to stand in a figure."""
    if len(text) <= longest:
        return text
    head = (longest - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (longest - 1 - head) :]}"
