"""Texts say what is known and nothing else."""

import pytest

from fedtiny.progress import Progress
from fedtiny.sweeps.cell import Outcome
from fedtiny.watching.wording import clock_face, counted, duration, ended, reached, share_done, time_left


def plain(text):
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("state", "share"),
    [
        (Progress("rounds", 5, 20), 0.25),
        (Progress("rounds", 5, 20, 30.0, until=60.0), 0.5),
        (Progress("rounds", 15, 20, 30.0, until=60.0), 0.75),
        (Progress("rounds", 5, None, 30.0, until=60.0), 0.5),
        (Progress("rounds", 5, None, 90.0, until=60.0), 1.0),
        (Progress("rounds", 0, 0), 1.0),
        (Progress("rounds", 5, None, 30.0, target=0.8), None),
        (Progress("pre-training", 50, 200, until=60.0), 0.25),
    ],
)
def test_a_run_is_as_far_as_what_will_end_it_first(state, share):
    assert share_done(state) == share


def test_a_run_says_rounds_virtual_time_and_accuracy_with_what_they_aim_at():
    assert counted(Progress("rounds", 5, 20)) == "rounds 5/20"
    assert counted(Progress("rounds", 5, None)) == "rounds 5"
    assert counted(Progress("loading torch", 0, None)) == "loading torch"
    assert plain(reached(Progress("rounds", 5, 20, 12.5), None)) == "12.5 s virtual"
    assert plain(reached(Progress("rounds", 5, 20, 12.5, until=60.0, target=0.9), 0.5)) == "12.5 s/60 s virtual, accuracy 0.500/0.9"
    assert reached(Progress("pre-training", 5, 20), None) == ""


def test_time_left_is_at_most_where_a_target_may_end_the_run_and_of_the_phase_before_its_rounds():
    assert time_left(Progress("rounds", 5, 20), 40.2) == "about 40 s left"
    assert time_left(Progress("rounds", 5, 20, target=0.9), 40.2) == "at most about 40 s left"
    assert time_left(Progress("pre-training", 5, 20), 40.2) == "about 40 s of pre-training left"
    assert time_left(Progress("rounds", 5, 20), None) == ""


def test_durations_have_the_unit_that_suits_them():
    assert [duration(value) for value in (0.4, 119.0, 130.0, 7190.0, 7200.0, 9000.0)] == [
        "0 s",
        "119 s",
        "2 min",
        "120 min",
        "2 h 0 min",
        "2 h 30 min",
    ]
    assert [clock_face(value) for value in (0.4, 61.0, 3725.0)] == ["0:00:00", "0:01:01", "1:02:05"]


def test_a_cell_that_does_not_fit_says_so_in_one_clause():
    reason = "training needs 2.89 MB but rp2040 offers 1 MB; no device of the fleet has enough; lower training.batch_size"
    assert ended(Outcome("c1", "infeasible", reason=reason)) == "infeasible: training needs 2.89 MB but rp2040 offers 1 MB"
