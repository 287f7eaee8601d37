from dataclasses import replace

from matplotlib.colors import LogNorm, Normalize

from fedtiny.reports.measure import measured
from fedtiny.results.sweep import combinations


def test_a_sweep_with_a_target_measures_the_time_to_it(make_sweep):
    sweep, _ = make_sweep((0,))
    measure = measured(sweep)
    times = [row["time_to_target"] for cell in combinations(sweep) for row in cell.rows if row["time_to_target"]]
    assert measure.column == "time_to_target"
    assert measure.label == "time to 75 % accuracy (s)"
    assert (measure.norm.vmin, measure.norm.vmax) == (min(times), max(times))
    assert type(measure.norm) is Normalize


def test_a_sweep_without_a_target_measures_the_final_accuracy(make_sweep):
    sweep, _ = make_sweep((0,))
    assert measured(replace(sweep, target_accuracy=None)).label == "final accuracy (%)"


def test_times_that_span_decades_are_coloured_by_their_logarithm(make_sweep):
    sweep, _ = make_sweep((0,))
    index = sweep.cells.schema.get_field_index("time_to_target")
    times = [None if value is None else 10.0**place for place, value in enumerate(sweep.cells["time_to_target"].to_pylist())]
    assert type(measured(replace(sweep, cells=sweep.cells.set_column(index, sweep.cells.schema.field(index), [times]))).norm) is LogNorm


def test_a_sweep_of_which_nothing_came_measures_nothing(make_sweep):
    sweep, _ = make_sweep((0,))
    assert measured(replace(sweep, cells=sweep.cells.slice(0, 1))) is None
