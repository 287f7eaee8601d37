"""Pairs of a sweep over strategies and latencies, with times that can be reckoned by hand."""

from dataclasses import replace

import pytest

from fedtiny.reports.figures import sweep_best_choice, sweep_paired
from fedtiny.reports.pairing import choice_axes, pairings
from fedtiny.reports.sweep_tables import paired_table


def pair(sweep, axis, values):
    (found,) = (pairing for pairing in pairings(sweep) if pairing.axis == axis)
    return next(one for one in found.pairs if one.values == values)


def test_choices_are_axes_that_are_no_numbers(make_choices):
    assert choice_axes(make_choices()) == ["strategy", "update"]
    assert [(one.axis, one.first, one.other) for one in pairings(make_choices())] == [
        ("strategy", "fedavg", "{kind: dga, delay: 5}"),
        ("update", "full", "tinytl"),
    ]


def test_luck_that_seeds_share_cancels_in_a_ratio(make_choices):
    gain = pair(make_choices(), "strategy", ("1 s", "8 MB", "full")).times_sooner()
    assert (gain.mean, gain.low, gain.high, gain.count) == (*[pytest.approx(8.0)] * 3, 3)
    slower = pair(make_choices(), "update", ("1 s", "8 MB", "fedavg")).times_sooner()
    assert slower.mean == pytest.approx(0.5)


def test_a_choice_against_itself_differs_by_exactly_nothing(make_choices):
    one = pair(make_choices(), "strategy", ("10 ms", "8 MB", "tinytl"))
    assert (one.difference("accuracy").mean, one.difference("accuracy").half_width) == (0.0, 0.0)
    assert (one.times_sooner().mean, one.times_sooner().low, one.times_sooner().high) == (1.0, 1.0, 1.0)


def test_a_seed_that_is_done_in_one_of_two_alone_is_in_no_pair(make_choices):
    def failed(row):
        return row | {"status": "failed", "time_to_target": None} if row["cell"] == "1 s-8 MB-fedavg-full-2" else row

    one = pair(make_choices(failed), "strategy", ("1 s", "8 MB", "full"))
    assert one.seeds == (1, 3)
    assert one.times_sooner().count == 2


def test_a_target_that_one_seed_never_reached_leaves_no_ratio(make_choices):
    def late(row):
        return row | {"time_to_target": None} if row["cell"] == "1 s-8 MB-fedavg-full-2" else row

    sweep = make_choices(late)
    assert pair(sweep, "strategy", ("1 s", "8 MB", "full")).times_sooner() is None
    assert pair(sweep, "strategy", ("1 s", "8 MB", "full")).difference("accuracy").count == 3
    rows_of = {row[:4]: row for row in paired_table(sweep).rows if row[4] == "fedavg"}
    assert rows_of["1 s", "8 MB", "dga, delay 5", "full"][6:] == ("3 of 3 against 2", "–", "–", "3")


def test_pairs_of_which_one_does_not_fit_have_no_row(make_choices):
    table = paired_table(make_choices())
    assert table.columns == (*make_choices().axes, "against", "accuracy (points)", "times sooner", "from", "to", "seeds")
    assert not any(row[1] == "2 MB" and row[4] == "full" for row in table.rows)
    assert len(table.rows) == 6 + 4  # strategy: full at 8 MB and tinytl at both, two latencies; update: 8 MB alone


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_the_map_of_a_choice_says_what_it_is_worth_and_where_it_does_not_fit(make_choices):
    figure = sweep_paired.draw(make_choices())
    titles = [axes.get_title(loc="left") for axes in figure.axes[:4]]
    assert titles == [
        "dga, delay 5 against fedavg: update full",
        "dga, delay 5 against fedavg: update tinytl",
        "tinytl against full: strategy fedavg",
        "tinytl against full: strategy dga, delay 5",
    ]
    assert sorted(texts(figure.axes[0])) == ["1\n(1 to 1)", "8\n8 to 8", "neither fits", "neither fits"]
    assert texts(figure.axes[2]).count("only this fits") == 2


def test_a_ratio_whose_interval_includes_1_stands_in_brackets(make_choices):
    def noisy(row):
        return row | {"time_to_target": row["time_to_target"] and row["time_to_target"] * (5.0 if "fedavg-full-1" in row["cell"] else 1.0)}

    found = texts(sweep_paired.draw(make_choices(noisy)).axes[0])
    assert sum(text.startswith("1.71\n(") for text in found) == 1


def test_the_best_choice_is_named_with_its_time_and_lead(make_choices):
    figure = sweep_best_choice.draw(make_choices())
    found = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts(figure.axes[0])]
    assert sorted(found) == [
        "dga, delay 5 · full\n2.17 min\n2 × sooner than next",
        "dga, delay 5 · tinytl\n4.33 min\n8 × sooner than next",
        "fedavg · full\n2.17 min\n≈ dga, delay 5 · full",
        "fedavg · tinytl\n4.33 min\n≈ dga, delay 5 · tinytl",
    ]
    assert len(figure.legends[0].get_patches()) == 4


def test_where_nothing_fits_or_gets_there_the_best_choice_says_so(make_choices):
    def worse(row):
        if row["device.memory"] == "2 MB":
            return row | {"status": "infeasible", "time_to_target": None}
        return row | {"time_to_target": None} if row["network.latency"] == "1 s" else row

    found = texts(sweep_best_choice.draw(make_choices(worse)).axes[0])
    assert found.count("nothing fits") == 2
    assert found.count("none reaches it\nwith all seeds") == 1


def test_without_a_target_or_a_choice_there_are_no_such_maps(make_choices):
    for draw in (sweep_paired.draw, sweep_best_choice.draw):
        assert draw(replace(make_choices(), target_accuracy=None)) is None
        assert (
            draw(replace(make_choices(), axes={axis: make_choices().axes[axis] for axis in ("network.latency", "device.memory")})) is None
        )
