"""The table of who trained what."""

from dataclasses import replace

import pyarrow as pa

from fedtiny.reports.participation import participation_sentence, participation_table
from fedtiny.results.record import DEVICES


def changed(run, change):
    """The run with other rows of devices."""
    return replace(run, devices=pa.Table.from_pylist([{**row, **change(row)} for row in run.devices.to_pylist()], schema=DEVICES))


def test_devices_that_train_alike_share_a_row_with_the_reason(fedavg):
    def choice(row):
        return {"scheme": "last", "scheme_reason": "full needs 1 GB", "status": "downgraded"} if row["device"] in (3, 4) else {}

    table = participation_table(changed(fedavg, choice))
    rows = [(row[0], row[1], row[2], row[3], row[4]) for row in table.rows]
    assert rows == [
        ("raspberry_pi_4 · lte_driving", "tinytl", "trained", "–", "3"),
        ("raspberry_pi_4 · lte_driving", "last", "downgraded", "full needs 1 GB", "2"),
        ("jetson_nano · wifi_home", "tinytl", "trained", "–", "3"),
        ("stm32f746 · lte_m", "–", "excluded", "–", "2"),
    ]
    assert table.rows[0][5].replace("\N{NO-BREAK SPACE}", " ") == "1 GB"


def test_where_all_trained_the_same_there_is_no_table(fedavg):
    assert participation_table(changed(fedavg, lambda row: {"scheme": "tinytl", "status": "trained"})) is None


def test_a_sentence_counts_them(fedavg):
    assert participation_sentence(fedavg) == "Devices by what they trained: 8 tinytl; 2 left out."
    assert participation_sentence(changed(fedavg, lambda row: {"rounds": 0, "status": "unused"})) == "Devices by what they trained: none."
