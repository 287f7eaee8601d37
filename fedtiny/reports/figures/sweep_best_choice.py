"""Figure: at each place of a sweep's two axes, with which of the further axes' values the target is reached soonest, and how soon.

A colour for each choice that is best anywhere. Where the interval of the paired ratio to the second includes 1, the two cannot be told
apart, and the cell says so. Hatched: nothing fits.
"""

from typing import Final

from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fedtiny.reports import style
from fedtiny.reports.best_choice import Place, places_of
from fedtiny.reports.cell_grid import DOES_NOT_FIT, FAILED, Face, draw_grid, new_grids
from fedtiny.reports.quantities import ratio, seconds
from fedtiny.reports.sweep_axes import layout
from fedtiny.results.sweep import SweepResult

_CELL_HEIGHT: Final = 0.56
_LETTERS_IN_A_ROW: Final = 118
_FEWEST_LETTERS: Final = 12
_SHADES: Final = (style.SKY, style.ORANGE, style.GREEN, style.YELLOW, style.PURPLE, style.BLUE, style.VERMILLION, style.SOFT)


@style.paper()
def draw(sweep: SweepResult) -> Figure | None:
    """None without a target that any choice reached with all seeds, without further axes than two, or with too many best choices."""
    places = layout(sweep)
    if places is None or not places.others or sweep.target_accuracy is None:
        return None
    found = places_of(sweep, places)
    every = dict.fromkeys(name for place in found for name, _ in place.choices)
    best = {place.ranked[0][0] for place in found if place.ranked}
    winners = [name for name in every if name in best]
    if not winners or len(winners) > len(_SHADES):
        return None
    shades = dict(zip(winners, _SHADES, strict=False))
    letters = max(_FEWEST_LETTERS, _LETTERS_IN_A_ROW // len(sweep.axes[places.across]))
    figure, (axes,) = new_grids(sweep, places, 1, _CELL_HEIGHT)
    draw_grid(axes, sweep, places, [(dict(place.values), place) for place in found], lambda place: _face(place, shades, letters))
    handles = [Patch(facecolor=shade, label=style.shortened(name, 60)) for name, shade in shades.items()]
    figure.legend(
        handles=handles, title=f"soonest at {100 * sweep.target_accuracy:.3g} %", loc="outside upper left", ncols=2, alignment="left"
    )
    return figure


def _face(place: Place, shades: dict[str, str], letters: int) -> Face:
    states = {cell.status for _, cell in place.choices}
    ranked = place.ranked
    if not ranked:
        return Face("nothing fits", hatch=DOES_NOT_FIT) if states == {"infeasible"} else _none_there(states)
    (name, cell), *others = ranked
    interval = cell.interval("time_to_target")
    time = "" if interval is None else seconds(interval.mean)
    lead = _led(place, others[0][0], letters) if others else "the only one"
    return Face(f"{style.shortened(name, letters)}\n{time}\n{lead}", shades[name])


def _none_there(states: set[str]) -> Face:
    return Face("failed", hatch=FAILED) if "done" not in states else Face("none reaches it\nwith all seeds")


def _led(place: Place, second: str, letters: int) -> str:
    lead = place.lead
    if lead is None:
        return ""
    if lead.low is not None and lead.low <= 1:
        return f"≈ {style.shortened(second, letters - 2)}"
    return f"{ratio(lead.mean)} sooner than next"
