"""Figure: how full the batteries of each device class are, over virtual time; one run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from fedtiny.reports import style
from fedtiny.reports.curves import line_style
from fedtiny.reports.quantities import time_scale
from fedtiny.results.metrics import device_classes, floats
from fedtiny.results.record import RunResult


@style.paper()
def draw(results: Sequence[RunResult]) -> Figure | None:
    """The mean charge of each class at each version of the model, and between whom it lies; None but for one run with batteries."""
    if len(results) != 1 or results[0].charges.num_rows < 2:
        return None
    table = results[0].charges
    labels = {entry.group: entry.label for entry in device_classes(results[0].devices)}
    scale = time_scale(float(floats(table, "virtual_time").max()))
    figure = style.new_figure(style.TWO_COLUMNS, 2.1)
    axes = figure.subplots()
    for place, group in enumerate(np.unique(floats(table, "group"))):
        own = table.filter(floats(table, "group") == group)
        times = floats(own, "virtual_time") * scale(1.0)
        look = line_style(place, own.num_rows)
        (line,) = axes.plot(times, floats(own, "mean"), label=labels.get(int(group), f"group {int(group)}"), **look)
        axes.fill_between(times, floats(own, "least"), floats(own, "most"), color=line.get_color(), alpha=0.15, linewidth=0)
    style.grid(axes)
    axes.set(xlabel=f"virtual time ({scale.unit})", ylabel="charge / capacity")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1)
    figure.legend(handles=axes.get_lines(), loc="outside upper left")
    return figure
