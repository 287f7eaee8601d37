from dataclasses import replace

import pyarrow.compute as pc

from fedtiny.reports.headline import comparison_headline, run_headline, sweep_headline
from fedtiny.results.metrics import Target


def plain(sentences):
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_the_headline_of_a_run_says_how_it_learned_what_it_cost_and_who_waited(fedavg):
    text = plain(run_headline(fedavg))
    assert text.startswith("Accuracy rose from 31.0 % to 92.6 %: 8 devices trained for 40 rounds in 2.15 min of virtual time.")
    assert "It reached its target of 80.0 % after 48.3 s." in text
    assert "The fleet sent 30.7 MB, received 30.7 MB and spent 3.66 kJ." in text
    assert "jetson_nano · wifi_home waited 74.6 % of the time in which it took part, raspberry_pi_4 · lte_driving 31.3 %." in text
    assert "2 devices took no part, since training does not fit their memory (stm32f746 · lte_m)." in text


def test_a_target_that_was_missed_is_said_to_be(make_run):
    assert "It did not reach its target of 99.0 %." in plain(run_headline(make_run(rounds=3, target=0.99)))


def test_a_run_of_no_rounds_is_its_initial_model(empty):
    assert plain(run_headline(empty)).startswith("No round was run: this is the initial model, with an accuracy of 31.0 %.")


def test_a_run_whose_energy_is_unknown_does_not_speak_of_it(make_run):
    assert "spent" not in plain(run_headline(make_run(rounds=2, energy=False)))


def test_the_headline_of_a_comparison_names_the_fastest_and_the_ratio(fedavg, dga):
    text = plain(comparison_headline([fedavg, dga], Target(0.8, "stated")))
    assert text == "dga reaches 80.0 % accuracy first, after 34.2 s of virtual time; fedavg takes 48.3 s (1.41 times as long)."


def test_runs_that_never_reach_the_target_are_named(fedavg, make_run):
    slow = replace(make_run("slow", rounds=3), name="slow")
    assert plain(comparison_headline([fedavg, slow], Target(0.8, ""))).endswith("slow never gets there.")
    assert plain(comparison_headline([slow, slow], Target(0.8, ""))) == "None of the runs reaches 80.0 %."
    assert "no accuracy was measured" in plain(comparison_headline([slow, slow], None))


def test_the_headline_of_a_sweep_counts_its_cells_and_names_the_best(make_sweep):
    sweep, _ = make_sweep((0, 1))
    text = plain(sweep_headline(sweep))
    assert "12 combinations of network.latency and device.memory, 2 seeds each: 8 done, 4 not fitting the memory." in text
    assert "The fastest to 75.0 % accuracy is network.latency 100 ms, device.memory 8 MB" in text
    assert "The most accurate is" in plain(sweep_headline(replace(sweep, target_accuracy=None)))


def test_the_headline_of_a_sweep_without_axes_counts_its_seeds(make_sweep):
    sweep, _ = make_sweep((0, 1))
    done = sweep.cells.filter(pc.equal(sweep.cells["status"], "done")).slice(0, 2)
    assert plain(sweep_headline(replace(sweep, axes={}, cells=done))) == "One scenario with 2 seeds: 2 done."
