from dataclasses import replace

import pytest

from fedtiny.reports.window import windows_of
from fedtiny.results.metrics import floats, mean_round_time


def test_one_run_shows_three_rounds_from_its_middle(fedavg):
    (window,) = windows_of([fedavg])
    assert window.length == pytest.approx(3 * mean_round_time(fedavg.rounds), rel=0.05)
    end = floats(fedavg.rounds, "virtual_time")[-1]
    assert 0.45 * end < window.start < 0.55 * end


def test_several_runs_have_windows_of_the_same_length(fedavg, dga):
    first, second = windows_of([fedavg, dga])
    assert first.length == second.length
    assert first.length == pytest.approx(2 * mean_round_time(fedavg.rounds), rel=0.05)


def test_a_very_fast_run_beside_a_slow_one_still_shows_its_rounds(fedavg, make_run):
    slow = make_run("slow", rounds=2)
    stretched = slow.rounds.set_column(1, slow.rounds.schema.field(1), [[0.0, 4000.0, 8000.0]])
    windows = windows_of([fedavg, replace(slow, rounds=stretched)])
    assert windows[0].length == pytest.approx(14 * mean_round_time(fedavg.rounds), rel=0.05)


def test_every_class_that_works_has_rows_and_there_are_twelve_at_most(fedavg):
    (window,) = windows_of([fedavg])
    assert window.rows == (("raspberry_pi_4 · lte_driving", (0, 1, 2, 3, 4)), ("jetson_nano · wifi_home", (5, 6, 7)))
    crowded = windows_of([fedavg] * 3)[0]
    assert crowded.rows == (("raspberry_pi_4 · lte_driving", (0, 1)), ("jetson_nano · wifi_home", (5, 6)))


def test_a_short_run_is_shown_from_its_start(make_run):
    (window,) = windows_of([make_run(rounds=1)])
    assert window.start == 0.0
    assert window.length == pytest.approx(floats(make_run(rounds=1).activities, "end").max())


def test_a_run_that_did_nothing_has_no_window(empty):
    assert windows_of([empty]) == []


def test_activities_end_at_the_borders(fedavg):
    (window,) = windows_of([fedavg])
    starts, ends = window.clipped(window.activities)
    assert starts.min() >= 0.0
    assert ends.max() <= window.length
