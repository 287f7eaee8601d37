"""What makes a figure hold without colour: hatches where fills differ by colour alone, dashes where lines do."""

from collections.abc import Iterator
from itertools import cycle
from typing import Final

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fedtiny.reports import style

HATCHES: Final = {
    style.BLUE: "////",
    style.VERMILLION: "xxxx",
    style.PURPLE: "....",
    style.SKY: "\\\\\\\\",
    style.ORANGE: "----",
    style.YELLOW: "++++",
    style.SOFT: "||||",
}
"""By colour of the palette; green and the faded grey stay plain, one dark and one light."""
_BACKED: Final = {"facecolor": style.PAPER, "linewidth": 0, "pad": 0.8}
_WHITE_FROM: Final = 3.0
_UNMARKED: Final = ("", "None", "none", " ", None)


def make_greyscale_safe(figure: Figure) -> None:
    """Hatch the fills of the palette, put what is written on them on white, and dash lines that only their colours tell apart."""
    for axes in figure.axes:
        hatched = [_hatch(fill) for fill in _fills(axes)]
        if any(hatched):
            _back_labels(axes)
    for legend in figure.legends:
        for patch in legend.get_patches():
            _hatch(patch)
    _dash(figure)


def _fills(axes: Axes) -> Iterator[Patch | PolyCollection]:
    yield from axes.patches
    yield from (one for one in axes.collections if isinstance(one, PolyCollection))


def _hatch(fill: Patch | PolyCollection) -> bool:
    """Give it the hatch of its colour; False if it has one already, is transparent, or is of no colour of the palette."""
    colors = to_rgba_array(fill.get_facecolor())
    if fill.get_hatch() or not len(colors) or colors[0, 3] < 1:
        return False
    color = to_hex(colors[0])
    if color not in HATCHES:
        return color in (style.GREEN, style.FADED)
    fill.set_hatch(HATCHES[color])
    fill.set_edgecolor(style.PAPER if style.contrast(color, style.PAPER) >= _WHITE_FROM else style.INK)
    fill.set_linewidth(0)
    return True


def _back_labels(axes: Axes) -> None:
    for text in axes.texts:
        if text.get_color() in (style.ON_DARK, style.ON_LIGHT):
            text.set_color(style.INK)
            text.set_bbox(_BACKED)


def _dash(figure: Figure) -> None:
    """Solid lines without markers, in the axes and in the legends alike: a dash for each colour, the first one stays solid."""
    plain = [
        line for line in _lines(figure) if line.get_linestyle() == "-" and line.get_marker() in _UNMARKED and line.get_xydata() is not None
    ]
    dashes = cycle(style.DASHES[:4])
    looks: dict[str, object] = {}
    for line in plain:
        color = to_hex(line.get_color())
        if color not in looks:
            looks[color] = next(dashes)
        line.set_linestyle(looks[color])  # type: ignore[arg-type]  # matplotlib's stubs know no (offset, dashes)


def _lines(figure: Figure) -> Iterator[Line2D]:
    for axes in figure.axes:
        yield from axes.get_lines()
    for legend in figure.legends:
        yield from legend.get_lines()
