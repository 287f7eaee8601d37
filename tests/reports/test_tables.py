from dataclasses import replace

import pytest

from fedtiny.reports import tables
from fedtiny.results.metrics import Target


def plain(rows):
    return [tuple(cell.replace("\N{NO-BREAK SPACE}", " ") for cell in row) for row in rows]


def with_delays(result, delays):
    place = result.rounds.schema.get_field_index("delay")
    return replace(result, rounds=result.rounds.set_column(place, result.rounds.schema.field(place), [delays]))


def test_the_ladder_marks_the_target_and_counts_from_the_start(fedavg):
    rows = plain(tables.ladder_table(fedavg).rows)
    assert [row[0] for row in rows] == ["40.0 %", "50.0 %", "60.0 %", "70.0 %", "80.0 % (target)", "90.0 %"]
    assert rows[4][1:] == ("15", "48.3 s", "23.0 MB", "1.38 kJ")


def test_a_target_beyond_the_ladder_was_never_reached(make_run):
    rows = plain(tables.ladder_table(make_run(rounds=4, target=0.99)).rows)
    assert rows[-1] == ("99.0 % (target)", "never", "–", "–", "–")


def test_without_learning_there_is_no_ladder(empty):
    assert tables.ladder_table(empty) is None


def test_the_comparison_divides_by_each_run(fedavg, dga, make_run):
    short = make_run("short", rounds=3)
    rows = plain(tables.comparison_table([fedavg, dga, short], Target(0.8, "stated by the scenario")).rows)
    assert rows[0][2:] == ("15", "48.3 s", "23.0 MB", "1.38 kJ", "1 ×", "1 ×")
    assert rows[1][3] == "34.2 s"
    assert rows[1][6] == "1.41 ×"
    assert rows[2][2:] == ("never", "–", "–", "–", "–", "–")


def test_the_comparison_says_where_its_target_comes_from(fedavg):
    assert "80.0" in tables.comparison_table([fedavg], Target(0.8, "a rule")).note
    assert "a rule" in tables.comparison_table([fedavg], Target(0.8, "a rule")).note


def test_the_fleet_is_told_by_class_with_what_training_needs(fedavg):
    rows = plain(tables.fleet_table(fedavg).rows)
    assert rows[0] == ("raspberry_pi_4 · lte_driving", "tinytl", "yes", "5", "1 GB", "1.47 MB", "600")
    assert rows[2] == ("stm32f746 · lte_m", "tinytl", "no", "2", "256 kB", "1.47 MB", "0")


def test_devices_are_told_by_class_with_means_per_device(fedavg):
    rows = plain(tables.devices_table(fedavg).rows)
    assert rows[1][:3] == ("jetson_nano · wifi_home", "3 trained", "40")
    assert rows[1][6] == "74.6 %"
    assert rows[2] == ("stm32f746 · lte_m", "2 excluded", "0", "0 s", "0 s", "2.15 min", "–", "245 J")


def test_the_excerpt_of_the_rounds_has_the_first_and_the_last(fedavg, empty):
    rows = plain(tables.rounds_table(fedavg).rows)
    assert len(rows) == 14
    assert (rows[0][0], rows[-1][0]) == ("0", "40")
    assert tables.rounds_table(empty).rows[0][0] == "0"


def test_rounds_have_a_column_for_the_delay_only_where_it_changes(dga):
    assert "delay" not in tables.rounds_table(dga).columns
    table = tables.rounds_table(with_delays(dga, [None, 20, 20, *[7] * (dga.rounds.num_rows - 3)]))
    place = table.columns.index("delay")
    assert [row[place] for row in table.rows][:2] == ["–", "7"]
    assert len({len(row) for row in table.rows} | {len(table.columns)}) == 1


def test_tiles_name_the_target_only_if_there_is_one(fedavg, empty):
    assert "time to target" in [tile.label for tile in tables.tiles(fedavg)]
    assert "time to target" not in [tile.label for tile in tables.tiles(empty)]
    assert next(tile for tile in tables.tiles(fedavg) if tile.label == "devices").detail == "8 trained, 2 excluded"


@pytest.mark.parametrize("energy", [True, False])
def test_totals_write_a_dash_for_an_unknown_energy(make_run, energy):
    row = tables.totals_table([replace(make_run(rounds=2, energy=energy))]).rows[0]
    assert (row[6] == "–") is not energy
