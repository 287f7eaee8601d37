"""Figure: accuracy and loss over the energy of the fleet."""

from collections.abc import Sequence
from typing import Final

from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.curves import Across, draw_curves
from fedtiny.reports.quantities import energy_scale
from fedtiny.results.metrics import floats
from fedtiny.results.record import RunResult

ACROSS: Final = Across(lambda rounds: floats(rounds, "energy"), energy_scale, "energy of the fleet, idle included ({unit})")


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """One line per run; None if no run has two versions to show."""
    return draw_curves(results, ACROSS)
