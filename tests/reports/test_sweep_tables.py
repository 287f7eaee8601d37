from dataclasses import replace

import pyarrow as pa
import pytest

from fedtiny.reports.sweep_tables import learnt_table, spent_table
from fedtiny.results.metrics import area_under_curve


def test_every_combination_has_a_row_with_mean_and_interval(make_sweep):
    sweep, _ = make_sweep((0, 1))
    table = learnt_table(sweep)
    rows = {row[:2]: row for row in table.rows}
    assert len(rows) == 12
    assert table.columns[5] == "time to target (s)"
    assert table.columns[:5] == ("network.latency", "device.memory", "status", "final accuracy (%)", "mean accuracy (%)")
    assert rows["20 ms", "256 kB"][2:] == ("does not fit", *["–"] * 5)
    assert rows["20 ms", "2 MB"][2] == "done"
    assert " ± " in rows["20 ms", "2 MB"][3]
    assert rows["2 s", "2 MB"][5] == "never"


def test_without_a_target_no_row_says_that_it_was_never_reached(make_sweep):
    sweep, _ = make_sweep((0, 1))
    cells = sweep.cells.drop_columns(["time_to_target"]).append_column("time_to_target", pa.nulls(sweep.cells.num_rows, pa.float64()))
    assert {row[5] for row in learnt_table(replace(sweep, cells=cells, target_accuracy=None)).rows} == {"–"}


def test_one_seed_has_no_interval(make_sweep):
    sweep, _ = make_sweep((0,))
    assert not any("±" in cell for row in learnt_table(sweep).rows for cell in row)


def test_the_mean_accuracy_is_taken_over_the_same_time_for_all(make_sweep):
    sweep, runs = make_sweep((0,))
    horizon = max(run.summary["virtual_time"] for run in runs.values())
    rows = {row[:2]: row for row in learnt_table(sweep).rows}
    mean = area_under_curve(runs["cell11-0"].rounds, until=horizon) / horizon
    assert float(rows["100 ms", "2 MB"][4]) == pytest.approx(100 * mean, abs=0.06)


def test_what_was_spent_has_a_table_of_its_own(make_sweep):
    sweep, runs = make_sweep((0,))
    table = spent_table(sweep)
    assert table.columns[3:] == ("rounds", "virtual time (s)", "up (MB)", "down (MB)", "energy (kJ)", "peak memory (MB)")
    row = next(row for row in table.rows if row[:2] == ("20 ms", "2 MB"))
    assert float(row[-1]) == pytest.approx(runs["cell01-0"].summary["peak_memory"] / 1e6, rel=0.01)
