from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from fedtiny.reports import style
from fedtiny.reports.curves import line_style
from fedtiny.reports.figures import learning_over_bytes, learning_over_energy, learning_over_rounds, learning_over_time
from fedtiny.results.metrics import accuracies, floats


def with_columns(run, **columns):
    rounds = run.rounds
    for name, values in columns.items():
        field = rounds.schema.field(name)
        rounds = rounds.set_column(rounds.schema.get_field_index(name), field, pa.array(values, field.type))
    return replace(run, rounds=rounds)


def test_accuracy_stands_above_loss_over_rounds(fedavg):
    accuracy, loss = learning_over_rounds.draw([fedavg]).axes
    assert np.array_equal(accuracy.get_lines()[0].get_xdata(), np.arange(41))
    assert np.array_equal(accuracy.get_lines()[0].get_ydata(), accuracies(fedavg.rounds))
    assert np.array_equal(loss.get_lines()[0].get_ydata(), floats(fedavg.rounds, "loss"))
    assert loss.get_xlabel() == "round"


@pytest.mark.parametrize(
    ("figure", "columns", "factor", "label"),
    [
        (learning_over_time, ("virtual_time",), 60.0, "virtual time (min)"),
        (learning_over_bytes, ("bytes_up", "bytes_down"), 1e6, "moved by the fleet, up and down (MB)"),
        (learning_over_energy, ("energy",), 1e3, "energy of the fleet, idle included (kJ)"),
    ],
)
def test_costs_are_drawn_in_the_unit_that_the_axis_names(fedavg, figure, columns, factor, label):
    _, loss = figure.draw([fedavg]).axes
    expected = sum(floats(fedavg.rounds, column) for column in columns) / factor
    assert loss.get_lines()[0].get_xdata() == pytest.approx(expected)
    assert loss.get_xlabel() == label


def test_several_runs_have_a_legend_and_one_run_has_none(fedavg, dga):
    figure = learning_over_time.draw([fedavg, dga])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["fedavg", "dga"]
    assert learning_over_time.draw([fedavg]).legends == []


def test_versions_that_were_not_evaluated_are_left_out(make_run):
    run = make_run(rounds=4)
    sparse = with_columns(run, accuracy=[0.1, None, 0.3, None, 0.5], loss=[2.0, None, float("nan"), float("inf"), 1.0])
    accuracy, loss = learning_over_rounds.draw([sparse]).axes
    assert accuracy.get_lines()[0].get_xdata().tolist() == [0, 2, 4]
    assert loss.get_lines()[0].get_xdata().tolist() == [0, 4]


def test_without_accuracies_the_loss_stands_alone(make_run):
    run = with_columns(make_run(rounds=2, target=None), accuracy=[None] * 3)
    assert [axes.get_ylabel() for axes in learning_over_rounds.draw([run]).axes] == ["loss"]


def test_a_loss_that_spans_decades_has_a_logarithmic_axis(make_run):
    run = make_run(rounds=2)
    assert learning_over_rounds.draw([run]).axes[1].get_yscale() == "linear"
    assert learning_over_rounds.draw([with_columns(run, loss=[100.0, 10.0, 1.0])]).axes[1].get_yscale() == "log"


def test_nothing_is_drawn_of_one_version_or_of_an_unknown_energy(empty, make_run):
    assert learning_over_rounds.draw([empty]) is None
    assert learning_over_energy.draw([make_run(rounds=2, energy=False)]) is None


def test_lines_differ_in_more_than_colour():
    looks = [line_style(position, 5) for position in range(len(style.CYCLE))]
    assert len({(look["color"], str(look["linestyle"])) for look in looks}) == len(looks)
    assert len({look["marker"] for look in looks}) == len(looks)
    assert line_style(0, 500)["marker"] == ""
    first, again = line_style(0, 5), line_style(len(style.CYCLE), 5)
    assert first["color"] == again["color"]
    assert first["linestyle"] != again["linestyle"]
