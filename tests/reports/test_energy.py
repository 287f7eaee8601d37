"""The tables of energy: every kind of activity is in a column, and a row adds up."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from fedtiny.reports.energy import _COLUMNS, energy_by_kind, energy_rows, energy_table, flash_rows, flash_table
from fedtiny.reports.tables import tiles
from fedtiny.results.record import FLASH
from fedtiny.simulation.trace import KINDS


def test_every_kind_of_activity_has_a_column():
    assert sorted(kind for kinds in _COLUMNS.values() for kind in kinds) == sorted(KINDS)


def test_kinds_add_up_to_the_energy_of_the_class(fedavg):
    spent = energy_by_kind(fedavg.activities, fedavg.devices)
    for group, kinds in spent.items():
        own = [row["energy"] for row in fedavg.devices.to_pylist() if row["group"] == group]
        assert sum(kinds.values()) == pytest.approx(sum(own), rel=1e-9)


def test_a_class_is_a_row_with_the_columns_that_are_needed(fedavg):
    rows = energy_rows(fedavg)
    assert [list(row) for row in rows] == [["device_class", "computing", "waiting", "receiving", "sending", "all"]] * 3
    assert energy_table(fedavg).columns[0] == "device class"


def test_energy_that_is_not_known_has_no_table(fedavg):
    position = fedavg.devices.schema.get_field_index("energy")
    unknown = pa.nulls(fedavg.devices.num_rows, pa.float64())
    run = replace(fedavg, devices=fedavg.devices.set_column(position, "energy", unknown))
    assert (energy_rows(run), energy_table(run)) == ([], None)


def test_flash_has_a_table_where_it_is_known(fedavg):
    assert (flash_rows(fedavg), flash_table(fedavg)) == ([], None)
    count = fedavg.devices.num_rows
    values = ([None] * (count - 2) + [30, 60], [None] * (count - 2) + [1e-4, 3e-4])
    worn = fedavg.devices
    for column, own in zip(FLASH, values, strict=True):
        worn = worn.append_column(column, pa.array(own, column.type))
    (row,) = flash_rows(replace(fedavg, devices=worn))
    assert (row["blocks_erased"], row["per_device"], row["endurance_used"]) == ("90", "45", "0.03 %")


def test_a_radio_of_which_nothing_is_known_is_not_said_to_cost_nothing(fedavg):
    texts = [[row["sending"] for row in energy_rows(_sending_costs(fedavg, joules))] for joules in (1.0, 0.0)]
    nothing = "0\N{NO-BREAK SPACE}J"  # of the class that sends nothing
    assert texts[0].count(nothing) == texts[1].count(nothing) == 1
    assert texts[0].count("not known") == 0
    assert texts[1].count("not known") == 2


def _sending_costs(run, joules):
    sent = run.activities["kind"].to_numpy(zero_copy_only=False) == "upload"
    energy = np.where(sent, joules, run.activities["energy"].to_numpy(zero_copy_only=False))
    position = run.activities.schema.get_field_index("energy")
    return replace(run, activities=run.activities.set_column(position, "energy", pa.array(energy)))


def test_emissions_fit_their_tile(fedavg):
    shown = {one.label: one for one in tiles(replace(fedavg, summary={**fedavg.summary, "carbon": 0.00478}))}["emissions of the fleet"]
    assert (shown.value, shown.detail) == ("4.78\N{NO-BREAK SPACE}mg", "CO2e of its energy")
