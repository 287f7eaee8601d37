from dataclasses import replace

from fedtiny.reports.figures import sweep_effect


def test_each_combination_of_the_other_axes_is_a_line_with_its_intervals(make_sweep):
    sweep, _ = make_sweep((0, 1))
    figure = sweep_effect.draw(sweep)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["device.memory 2 MB", "device.memory 8 MB"]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["20 ms", "100 ms", "500 ms", "2 s"]
    assert figure.axes[0].get_ylabel() == "time to 75 % accuracy (s)"


def test_a_combination_that_never_reached_the_target_is_marked_at_the_edge(make_sweep):
    sweep, _ = make_sweep((0,))
    marks = [
        line for line in sweep_effect.draw(sweep).axes[0].get_lines() if line.get_marker() == "^" and line.get_markerfacecolor() == "none"
    ]
    assert [line.get_xdata().tolist() for line in marks] == [[3]]


def test_without_axes_there_is_no_effect(make_sweep):
    sweep, _ = make_sweep((0,))
    assert sweep_effect.draw(replace(sweep, axes={})) is None
