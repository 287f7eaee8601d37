import numpy as np
import pytest

from fedtiny.reports.figures.speed_up import draw, speed_ups
from fedtiny.results.metrics import time_to_target


def test_the_line_is_the_ratio_of_the_times_to_each_accuracy(fedavg, dga):
    levels, ratios = speed_ups(fedavg, dga)
    place = int(np.argmin(np.abs(levels - 0.8)))
    assert levels[place] == pytest.approx(0.8)
    assert ratios[place] == pytest.approx(time_to_target(fedavg.rounds, levels[place]) / time_to_target(dga.rounds, levels[place]))
    (axes,) = draw([fedavg, dga]).axes
    assert np.allclose(axes.get_lines()[1].get_ydata(), ratios)


def test_a_run_is_as_fast_as_itself_at_every_accuracy(fedavg):
    levels, ratios = speed_ups(fedavg, fedavg)
    assert levels.size > 20
    assert (ratios == 1.0).all()


def test_only_accuracies_that_both_reach_are_compared(fedavg, make_run):
    levels, _ = speed_ups(fedavg, make_run("short", rounds=5))
    assert 0.31 <= levels.min() <= levels.max() < 0.6


def test_a_run_alone_or_one_that_never_learned_has_no_line(fedavg, empty):
    assert draw([fedavg]) is None
    assert draw([fedavg, empty]) is None
