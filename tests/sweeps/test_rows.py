import pyarrow as pa

from fedtiny.results.sweep import SweepResult, cells_schema
from fedtiny.sweeps.rows import cell_rows, summary_row


def test_a_summary_has_units_and_dashes():
    row = summary_row({"rounds": 3, "virtual_time": 90.0, "accuracy": 0.5, "bytes_up": 2_000_000, "energy": None})
    assert row["virtual_time"].replace("\N{NO-BREAK SPACE}", " ") == "90 s"
    assert row["bytes_up"].replace("\N{NO-BREAK SPACE}", " ") == "2 MB"
    assert row["energy"] == row["loss"] == "–"


def test_a_cell_shows_its_axes_seed_and_status():
    schema = cells_schema(("update",))
    row = dict.fromkeys(schema.names) | {"cell": "a1", "update": "full", "seed": 3, "status": "infeasible"}
    result = SweepResult("s", {"update": ("full",)}, (3,), None, "", pa.Table.from_pylist([row], schema=schema), {"a1": "cells/a1"})
    (shown,) = cell_rows(result)
    assert list(shown)[:4] == ["cell", "update", "seed", "status"]
    assert (shown["seed"], shown["accuracy"]) == ("3", "–")
