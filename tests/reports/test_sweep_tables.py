from dataclasses import replace

import pyarrow as pa

from fedtiny.reports.sweep_tables import cells_table


def test_every_combination_has_a_row_with_mean_and_interval(make_sweep):
    sweep, _ = make_sweep((0, 1))
    table = cells_table(sweep)
    rows = {row[:2]: row for row in table.rows}
    assert len(rows) == 12
    assert table.columns[:5] == ("network.latency", "device.memory", "status", "final accuracy (%)", "time to target (s)")
    assert rows["20 ms", "256 kB"][2:] == ("does not fit", *["–"] * 7)
    assert rows["20 ms", "2 MB"][2] == "done"
    assert " ± " in rows["20 ms", "2 MB"][3]
    assert rows["2 s", "2 MB"][4] == "never"


def test_without_a_target_no_row_says_that_it_was_never_reached(make_sweep):
    sweep, _ = make_sweep((0, 1))
    cells = sweep.cells.drop_columns(["time_to_target"]).append_column("time_to_target", pa.nulls(sweep.cells.num_rows, pa.float64()))
    assert {row[4] for row in cells_table(replace(sweep, cells=cells, target_accuracy=None)).rows} == {"–"}


def test_one_seed_has_no_interval(make_sweep):
    sweep, _ = make_sweep((0,))
    assert not any("±" in cell for row in cells_table(sweep).rows for cell in row)
