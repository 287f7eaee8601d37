from dataclasses import replace

from fedtiny.reports.headline import comparison_headline, run_headline
from fedtiny.results.metrics import Target


def plain(sentences):
    return " ".join(sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_the_headline_of_a_run_says_how_it_learned_what_it_cost_and_who_waited(fedavg):
    text = plain(run_headline(fedavg))
    assert text.startswith("Accuracy rose from 31.0 % to 92.6 %: 8 devices trained for 40 rounds in 2.15 min of virtual time.")
    assert "It reached its target of 80.0 % after 48.3 s." in text
    assert "The fleet sent 30.7 MB, received 30.7 MB and spent 3.66 kJ." in text
    assert "jetson_nano · wifi_home waited 74.6 % of the time in which it took part, raspberry_pi_4 · lte_driving 31.3 %." in text
    assert (
        "One of three device classes could not train the tinytl update, which does not fit: stm32f746 · lte_m (2 devices took no part)."
        in text
    )


def test_a_target_that_was_missed_is_said_to_be(make_run):
    assert "It did not reach its target of 99.0 %." in plain(run_headline(make_run(rounds=3, target=0.99)))


def test_a_run_of_no_rounds_is_its_initial_model(empty):
    assert plain(run_headline(empty)).startswith("No round was run: this is the initial model, with an accuracy of 31.0 %.")


def test_a_run_whose_energy_is_unknown_does_not_speak_of_it(make_run):
    assert "spent" not in plain(run_headline(make_run(rounds=2, energy=False)))


def test_the_headline_of_a_comparison_names_the_fastest_and_the_ratio(fedavg, dga):
    text = plain(comparison_headline([fedavg, dga], Target(0.8, "stated")))
    assert text == (
        "dga reached 80.0 % accuracy after 34.2 s of virtual time, 1.41 × sooner than fedavg (48.3 s). "
        "One of three device classes could not train the tinytl update, which does not fit."
    )


def test_runs_that_never_reach_the_target_are_named(fedavg, make_run):
    slow = replace(make_run("slow", rounds=3), name="slow")
    assert plain(comparison_headline([fedavg, slow], Target(0.8, ""))).startswith(
        "fedavg reached 80.0 % accuracy after 48.3 s of virtual time. slow never gets there."
    )
    assert plain(comparison_headline([slow, slow], Target(0.8, ""))) == "None of the runs reaches 80.0 %."
    assert "no accuracy was measured" in plain(comparison_headline([slow, slow], None))
