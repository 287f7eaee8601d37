from dataclasses import replace

from fedtiny.reports.search_headline import search_headline


def headline(sweep):
    return [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in search_headline(sweep, sweep.search)]


def test_the_best_trial_comes_first_and_what_else_there_might_be(make_search):
    best, searched = headline(make_search("time_to_target"))
    assert best == "The lowest time to target of 75.0 % is 11 s: network.latency 10 ms, update full (trial 0)."
    assert searched.startswith(
        "8 combinations of network.latency and update tried with 2 seeds each, of 1,000: others may be better "
        "(one not fitting the memory, one never reaching the target, one failed and one under way)."
    )
    assert "by a tree-structured Parzen estimator (Optuna 5.0.0, seed 7), 4 at a time" in searched


def test_a_search_that_has_tried_all_knows_that_there_is_no_better_one(make_search):
    assert "All 8 combinations of" in headline(make_search("time_to_target", combinations=8))[-1]
    assert "so there is no better one" in headline(make_search("time_to_target", combinations=8))[-1]


def test_trials_that_are_as_good_are_counted(make_search):
    assert headline(make_search("rounds"))[0].endswith("(trial 0, and four more as good).")


def test_the_front_is_counted_and_its_ends_named(make_search):
    front, accurate, soon, _ = headline(make_search("accuracy", "time_to_target"))
    assert front.startswith("Two of 8 trials are on the Pareto front of final accuracy and time to target: ")
    assert accurate == "The highest final accuracy is 82.0 %, with 31 s time to target: network.latency 1 s, update full (trial 4)."
    assert soon == "The lowest time to target of 75.0 % is 11 s, with 80.0 % final accuracy: network.latency 10 ms, update full (trial 0)."


def test_one_trial_on_the_front_is_one(make_search):
    assert headline(make_search("time_to_target", "bytes"))[0].startswith("One of 8 trials is on the Pareto front")


def test_where_no_trial_has_a_value_there_is_no_best(make_search):
    single, several = make_search("energy"), make_search("energy", "accuracy")
    nothing = [row | {"energy": None, "on_front": False} for row in single.cells.to_pylist()]
    for sweep, text in (
        (single, "No trial has a value of energy of the fleet."),
        (several, "No trial has values of energy of the fleet and final accuracy."),
    ):
        cells = sweep.cells.from_pylist(nothing, schema=sweep.cells.schema)
        assert headline(replace(sweep, cells=cells))[0] == text
