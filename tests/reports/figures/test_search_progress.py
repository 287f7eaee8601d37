import pytest

from fedtiny.reports.figures import search_progress


def line(figure, label):
    (found,) = [one for one in figure.axes[0].get_lines() if one.get_label() == label]
    return list(zip(found.get_xdata(), found.get_ydata(), strict=True))


def test_the_best_so_far_goes_down_only_until_the_last_trial(make_search):
    figure = search_progress.draw(make_search("loss"))
    assert line(figure, "a trial") == [(0, 0.5), (1, 0.6), (2, 0.9), (4, 0.4), (5, 0.7)]
    assert line(figure, "the best so far") == [(0, 0.5), (4, 0.4), (7, 0.4)]
    assert figure.axes[0].get_ylabel() == "final loss"


def test_the_best_accuracy_goes_up(make_search):
    found = line(search_progress.draw(make_search("accuracy")), "the best so far")
    assert found == [(0, pytest.approx(80)), (4, pytest.approx(82)), (7, pytest.approx(82))]


def test_what_has_no_value_stands_at_an_edge_and_not_among_the_values(make_search):
    figure = search_progress.draw(make_search("time_to_target"))
    assert [number for number, _ in line(figure, "never reached its target")] == [2]
    assert [number for number, _ in line(figure, "does not fit, or has no value")] == [3, 6, 7]
    assert {number for number, _ in line(figure, "a trial")} == {0, 1, 4, 5}


def test_several_objectives_have_no_single_best_and_a_sweep_has_no_trials(make_search, make_sweep):
    assert search_progress.draw(make_search("accuracy", "loss")) is None
    assert search_progress.draw(make_sweep((0,))[0]) is None
