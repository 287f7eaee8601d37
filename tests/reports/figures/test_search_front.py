import pytest

from fedtiny.reports.figures import search_front


def lines(axes):
    return [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in axes.get_lines()]


def test_what_should_be_high_goes_up_and_the_front_is_a_line(make_search):
    (axes,) = search_front.draw(make_search("time_to_target", "accuracy")).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time to target (s)", "final accuracy (%)")
    rest, best = lines(axes)
    assert best == [(pytest.approx(11), pytest.approx(80)), (pytest.approx(31), pytest.approx(82))]
    assert len(rest) == 2
    assert axes.get_lines()[1].get_linestyle() == "-"


@pytest.mark.parametrize(
    ("objectives", "panels"),
    [
        (("accuracy", "time_to_target", "bytes"), [("time", "final"), ("traffic", "final"), ("traffic", "time")]),
        (("rounds", "loss", "accuracy", "bytes"), [("number of rounds", "final"), ("final loss", "final"), ("traffic", "final")]),
    ],
)
def test_up_to_three_objectives_are_drawn_in_pairs_and_more_against_the_first(make_search, objectives, panels):
    drawn = [axes for axes in search_front.draw(make_search(*objectives)).axes if axes.get_visible()]
    assert len(drawn) == len(panels)
    for axes, (across, up) in zip(drawn, panels, strict=True):
        assert axes.get_xlabel().startswith(across)
        assert axes.get_ylabel().startswith(up)
        assert axes.get_lines()[1].get_linestyle() == "None"


def test_letters_name_the_trials_of_the_front_and_stand_together_where_these_are_near(make_search):
    figure = search_front.draw(make_search("accuracy", "time_to_target"))
    named = [text.get_text() for text in figure.legends[0].get_texts()][2:]
    assert named == ["a: 10 ms, full (trial 0)", "b: 1 s, full (trial 4)"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["a", "b"]
    alike = search_front.draw(make_search("rounds", "peak_memory"))
    assert [text.get_text() for text in alike.axes[0].texts] == ["a, b, c, d, e"]


def test_one_objective_has_no_front_and_neither_has_a_sweep(make_search, make_sweep):
    assert search_front.draw(make_search("accuracy")) is None
    assert search_front.draw(make_sweep((0,))[0]) is None
