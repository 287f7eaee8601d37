import dataclasses
import json

import pytest

from fedtiny.costs.ledger import Moment, ledger_of
from fedtiny.costs.memory import tinytl_memory
from fedtiny.costs.memory_table import SchemeMemory, memory_table


def rows(*planned, batch_size=8):
    other = ledger_of("other", batch_size, (Moment("fc", "backward", {"frozen_parameters": 7, "saved_activations": 5}),))
    return [
        SchemeMemory(summary, plan, {"tinytl": tinytl_memory(summary, plan, batch_size).ledger, "other": other})
        for summary, plan in planned
    ]


def test_the_table_has_one_row_per_scheme_in_the_order_given(toy, toy_plans):
    plans = [dataclasses.replace(plan, scheme=scheme) for scheme, plan in toy_plans.items()]
    table = memory_table(rows(*((toy, plan) for plan in plans)), batch_size=8)
    assert {key: table[key] for key in table if key != "schemes"} == {
        "model": "by_hand",
        "accounting": "tinytl",
        "batch_size": 8,
        "input": [3, 8, 8],
        "classes": 2,
    }
    assert [row["update"] for row in table["schemes"]] == list(toy_plans)
    assert [row["trainable_parameters"] for row in table["schemes"]] == [10, 14, 18, 126]
    assert [row["parameter_bytes"] for row in table["schemes"]] == [156, 168, 180, 504]
    assert [row["activation_bytes"] for row in table["schemes"]] == [8 * 1792, 8 * 1792, 8 * 2048, 8 * 2816]
    assert [row["payload_bytes"] for row in table["schemes"]] == [40, 56, 72, 504]


def test_the_items_of_every_row_add_up_to_its_total(toy, toy_plans):
    for row in memory_table(rows(*((toy, plan) for plan in toy_plans.values())), batch_size=8)["schemes"]:
        assert sum(row["items"].values()) == row["total_bytes"] == row["parameter_bytes"] + row["activation_bytes"]


def test_the_figures_of_a_row_are_those_of_the_accounting_that_was_asked_for_and_all_stand_beside_them(toy, toy_plans):
    row = memory_table(rows((toy, toy_plans["full"])), batch_size=8, accounting="other")["schemes"][0]
    assert (row["parameter_bytes"], row["activation_bytes"], row["total_bytes"], row["peak_layer"]) == (7, 5, 12, "fc")
    assert list(row["accountings"]) == ["tinytl", "other"]
    assert row["accountings"]["tinytl"]["total_bytes"] == 504 + 8 * 2816
    assert row["accountings"]["other"] == {"total_bytes": 12, "peak_layer": "fc", "items": {"frozen_parameters": 7, "saved_activations": 5}}


def test_the_table_is_plain_json(toy, toy_plans):
    table = memory_table(rows((toy, toy_plans["full"])), batch_size=8)
    assert json.loads(json.dumps(table)) == table


def test_a_row_says_whether_its_network_carries_lite_modules(toy, toy_plans, layer, make_network):
    with_lite = make_network(*toy.layers, layer("lite.conv", "convolution", 10, 10, weight=9, section="lite_residual"))
    table = memory_table(rows((toy, toy_plans["full"]), (with_lite, toy_plans["full"])), batch_size=8)
    assert [row["lite_residual"] for row in table["schemes"]] == [False, True]
    assert [row["parameters"] for row in table["schemes"]] == [126, 135]


def test_a_table_about_two_models_is_refused(toy, toy_plans):
    other = dataclasses.replace(toy, model="other")
    with pytest.raises(ValueError, match=r"by_hand.*other"):
        memory_table(rows((toy, toy_plans["full"]), (other, toy_plans["full"])), batch_size=8)
    with pytest.raises(ValueError, match="one model"):
        memory_table([], batch_size=8)
