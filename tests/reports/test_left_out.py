from dataclasses import replace

import pyarrow as pa

from fedtiny.reports.left_out import left_out_sentence, left_out_sentences
from fedtiny.results.record import DEVICES


def with_statuses(run, status_of_group):
    rows = [{**row, "status": status_of_group[row["group"]]} for row in run.devices.to_pylist()]
    return replace(run, devices=pa.Table.from_pylist(rows, schema=DEVICES))


def test_where_all_could_train_nothing_is_said(fedavg):
    able = with_statuses(fedavg, ("trained", "trained", "unused"))
    assert left_out_sentence(able) == ""
    assert left_out_sentences([able, able]) == ()


def test_those_who_trained_less_could_not_train_the_update_either(fedavg):
    sentence = left_out_sentence(with_statuses(fedavg, ("trained", "downgraded", "excluded")))
    assert sentence.startswith("Two of three device classes could not train the tinytl update, which does not fit: ")
    assert sentence.endswith("(2 devices took no part and 3 devices trained less).")


def test_runs_that_differ_are_named(fedavg, dga):
    able = with_statuses(dga, ("trained", "trained", "unused"))
    assert left_out_sentences([fedavg, able]) == (
        "One of three device classes could not train the tinytl update, which does not fit (fedavg).",
    )


def test_the_update_of_a_scenario_that_names_none_is_full(fedavg):
    assert "the full update" in left_out_sentence(replace(fedavg, scenario_yaml="name: x\n"))
