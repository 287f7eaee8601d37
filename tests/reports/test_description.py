from fedtiny.reports.description import differences_table, parts_table, scenario_of, words


def test_a_part_is_told_by_its_kind_and_what_it_says():
    part = {
        "kind": "dga",
        "delay": 5,
        "timeout": None,
        "weights": [1, 2],
        "optimizer": {"kind": "sgd", "learning_rate": 0.1},
        "nesterov": False,
    }
    assert words(part) == "dga, delay 5, weights (1, 2), optimizer (sgd, learning rate 0.1), nesterov no"


def test_only_parts_that_the_scenario_states_are_listed(fedavg):
    rows = dict(parts_table(fedavg.scenario_yaml).rows)
    assert rows["Strategy"] == "fedavg"
    assert rows["Stop"] == "rounds 40, target accuracy 0.8"
    assert "Server" not in rows


def test_scenarios_are_compared_key_by_key_but_for_their_names():
    first = "name: a\nstrategy: {kind: fedavg}\nfleet: [{count: 2, device: x}]\nstop: {rounds: 5}\n"
    second = "name: b\nstrategy: {kind: dga, delay: 3}\nfleet: [{count: 3, device: x}]\nstop: {rounds: 5}\n"
    assert differences_table(["a", "b"], [first, second]).rows == (
        ("strategy.kind", "fedavg", "dga"),
        ("fleet[0].count", "2", "3"),
        ("strategy.delay", "–", "3"),
    )


def test_equal_scenarios_do_not_differ():
    assert differences_table(["a", "b"], ["name: a\nseed: 1\n", "name: b\nseed: 1\n"]) is None


def test_what_is_not_a_mapping_says_nothing():
    assert scenario_of("just text") == {}
