"""For whom the model is good: one line per device class, and nothing where all classes hold the same."""

from dataclasses import replace

import pyarrow as pa

from fedtiny.reports.figures import learning_by_class
from fedtiny.results.record import DEVICES, LABELS


def with_labels(run, *, differ=True):
    """The run with two labels; the first class of devices holds the second one only, which is never learnt."""
    held = {True: lambda group: [0, 8] if group == 0 else [8, 0], False: lambda group: [4, 4]}[differ]
    devices = [{**row, "label_examples": held(row["group"])} for row in run.devices.to_pylist()]
    rounds = run.rounds["round"].to_pylist()
    rows = [
        {"round": number, "label": label, "examples": 10, "correct": min(10, number) if label == 0 else 0}
        for number in rounds[::2]
        for label in (0, 1)
    ]
    return replace(run, devices=pa.Table.from_pylist(devices, schema=DEVICES), labels=pa.Table.from_pylist(rows, schema=LABELS))


def test_each_class_has_a_line_on_the_labels_it_holds(fedavg):
    figure = learning_by_class.draw([with_labels(fedavg)])
    (axes,) = figure.axes
    lines = [line for line in axes.get_lines() if line.get_label().count("·")]
    assert [line.get_label().split(" · ")[0] for line in lines] == ["raspberry_pi_4", "jetson_nano", "stm32f746"]
    assert set(lines[0].get_ydata()) == {0.0}
    assert max(lines[1].get_ydata()) == 1.0
    assert len(lines[0].get_xdata()) == (fedavg.rounds.num_rows + 1) // 2


def test_runs_have_panels_of_their_own(fedavg, dga):
    figure = learning_by_class.draw([with_labels(fedavg), with_labels(dga), fedavg])
    assert [axes.get_title("left") for axes in figure.axes if axes.get_title("left")] == ["fedavg", "dga"]


def test_panels_share_a_time_axis_that_holds_the_longest_run(fedavg, dga):
    for order in ([fedavg, dga], [dga, fedavg]):
        axes = [panel for panel in learning_by_class.draw([with_labels(run) for run in order]).axes if panel.get_title("left")]
        latest = max(line.get_xdata().max() for panel in axes for line in panel.get_lines() if len(line.get_xdata()))
        assert {panel.get_xlim() for panel in axes} == {axes[0].get_xlim()}
        assert axes[0].get_xlim()[0] == 0
        assert axes[0].get_xlim()[1] >= latest


def test_there_is_no_figure_without_a_difference_or_without_labels(fedavg):
    assert learning_by_class.draw([with_labels(fedavg, differ=False)]) is None
    assert learning_by_class.draw([fedavg]) is None
