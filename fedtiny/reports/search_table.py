"""The table of a search: its trials, those on the front first."""

import math

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import NONE, number
from fedtiny.reports.search_trials import Trial, scale_of, titled, trials
from fedtiny.reports.sweep_axes import value_label
from fedtiny.results.search import Search
from fedtiny.results.sweep import SweepResult


def search_table(sweep: SweepResult, search: Search) -> Table:
    """One row for each trial: on the front or not, its values on the axes, how it ended, its objectives (means over its seeds)."""
    found, wanted = trials(sweep), search.wanted
    scales = [
        scale_of(one, max((value for trial in found if (value := trial.values[place]) is not None), default=0.0))
        for place, one in enumerate(wanted)
    ]

    def rank(trial: Trial) -> tuple[bool, float, int]:
        first = trial.values[0]
        return not trial.on_front, math.inf if first is None else wanted[0].loss(first), trial.number

    rows = tuple(
        (
            *map(value_label, trial.combination.values),
            "yes" if trial.on_front else "",
            trial.ending,
            str(trial.number),
            *(NONE if value is None else number(scale(value)) for value, scale in zip(trial.values, scales, strict=True)),
        )
        for trial in sorted(found, key=rank)
    )
    titles = (titled(one, scale) for one, scale in zip(wanted, scales, strict=True))
    front = "on the front" if len(wanted) > 1 else "best"
    return Table((*sweep.axes, front, "status", "trial", *titles), rows, text_columns=len(sweep.axes) + 2)
