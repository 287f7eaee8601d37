from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fedtiny.errors import FolderError
from fedtiny.results.sweep import SweepResult, cells_schema, combinations, is_sweep, read_sweep, write_sweep

AXES = {"network.latency": ("100 ms", "0 ms"), "update": ("full",)}


@pytest.fixture
def sweep():
    """Two latencies, two seeds; one cell infeasible, one that failed once."""
    empty = dict.fromkeys(("rounds", "virtual_time", "accuracy", "loss", "time_to_target", "bytes_up", "bytes_down", "energy"))
    rows = [
        {**empty, "cell": "a", "network.latency": "0 ms", "update": "full", "seed": 1, "status": "failed"},
        {**empty, "cell": "b", "network.latency": "0 ms", "update": "full", "seed": 0, "status": "done", "accuracy": 0.5},
        {**empty, "cell": "c", "network.latency": "100 ms", "update": "full", "seed": 0, "status": "infeasible"},
        {**empty, "cell": "d", "network.latency": "100 ms", "update": "full", "seed": 1, "status": "infeasible"},
    ]
    return SweepResult("s", AXES, (0, 1), 0.6, "name: s\n", pa.Table.from_pylist(rows, schema=cells_schema(tuple(AXES))), {"b": "cells/b"})


def test_a_sweep_is_read_back_as_it_was_written(sweep, tmp_path):
    folder = write_sweep(sweep, tmp_path / "sweep")
    found = read_sweep(folder)
    assert is_sweep(folder)
    assert found.cells.equals(sweep.cells)
    for key in ("name", "axes", "seeds", "target_accuracy", "scenario_yaml", "folders"):
        assert getattr(found, key) == getattr(sweep, key)


def test_cells_have_the_promised_columns():
    assert cells_schema(("network.latency",)).names == [
        *("cell", "network.latency", "seed", "status", "rounds", "virtual_time", "accuracy", "loss"),
        *("time_to_target", "bytes_up", "bytes_down", "energy"),
        *("bottleneck", "mean_staleness", "wasted_compute", "wasted_bytes"),
        *("stragglers_stall", "missing_stall", "communication_stall"),
        *("rounds_to_target", "bytes_to_target", "energy_to_target", "area_under_curve", "peak_memory", "carbon"),
    ]


def test_combinations_stand_in_the_order_of_the_axes_with_their_seeds_ascending(sweep):
    first, second = combinations(sweep)
    assert first.values == ("100 ms", "full")
    assert [row["cell"] for row in second.rows] == ["b", "a"]


def test_a_combination_is_done_if_any_seed_is(sweep):
    assert [cell.status for cell in combinations(sweep)] == ["infeasible", "done"]
    assert combinations(sweep)[1].interval("accuracy").mean == 0.5
    assert combinations(sweep)[0].interval("accuracy") is None


def test_a_target_that_some_seeds_never_reached_has_no_mean(sweep):
    rows = [{**row, "status": "done", "time_to_target": 8.0 if row["seed"] else None} for row in sweep.cells.to_pylist()]
    cell = combinations(replace(sweep, cells=pa.Table.from_pylist(rows, schema=sweep.cells.schema)))[0]
    assert cell.interval("time_to_target") is None
    assert cell.known("time_to_target") == {1: 8.0}


def test_a_seed_that_failed_is_not_counted_among_the_done(sweep):
    cell = combinations(sweep)[1]
    assert [row["cell"] for row in cell.done] == ["b"]
    assert cell.interval("accuracy").count == 1


def test_what_is_not_a_sweep_is_said_to_be_none(tmp_path):
    with pytest.raises(FolderError, match=r"has no sweep\.json"):
        read_sweep(tmp_path)


def test_a_sweep_without_its_cells_is_damaged(sweep, tmp_path):
    folder = write_sweep(sweep, tmp_path)
    (folder / "cells.parquet").unlink()
    with pytest.raises(FolderError, match=r"cells\.parquet is missing"):
        read_sweep(folder)


def test_a_sweep_of_an_earlier_version_lacks_what_was_added(tmp_path, sweep):
    write_sweep(sweep, tmp_path)
    added = ["bottleneck", "wasted_bytes", "peak_memory", "area_under_curve"]
    table = pq.read_table(tmp_path / "cells.parquet")
    pq.write_table(table.drop_columns(added), tmp_path / "cells.parquet")
    found = read_sweep(tmp_path).cells
    assert found.schema == table.schema
    assert all(found[name].null_count == found.num_rows for name in added)
