from dataclasses import replace

import pytest
from matplotlib.collections import LineCollection

from fedtiny.reports.figures import timeline
from fedtiny.reports.window import windows_of


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_runs_are_drawn_on_the_same_time_scale(fedavg, dga):
    first, second = timeline.draw([fedavg, dga]).axes
    assert first.get_xlim() == second.get_xlim() == (0.0, pytest.approx(windows_of([fedavg, dga])[0].length))
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["fedavg", "dga"]


def test_rows_are_devices_and_the_legend_names_what_is_shown(fedavg):
    figure = timeline.draw([fedavg])
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [str(number) for number in range(8)]
    assert legend(figure) == ["train", "stall", "download", "upload", "message on its way"]


def test_a_message_is_on_its_way_for_its_latency(fedavg):
    (axes,) = timeline.draw([fedavg]).axes
    widths = [
        path.vertices[1, 0] - path.vertices[0, 0]
        for collection in axes.collections
        if isinstance(collection, LineCollection)
        for path in collection.get_paths()
    ]
    assert {round(width, 6) for width in widths} == {0.25, 0.02}


def test_lost_messages_are_drawn_hollow(fedavg):
    rows = [{**row, "outcome": "lost", "arrival": None} if row["kind"] == "upload" else row for row in fedavg.activities.to_pylist()]
    lossy = replace(fedavg, activities=type(fedavg.activities).from_pylist(rows, schema=fedavg.activities.schema))
    assert "lost" in legend(timeline.draw([lossy]))


@pytest.mark.parametrize("kind", ["offline", "idle", "evaluate"])
def test_every_kind_of_processor_time_can_be_drawn(fedavg, kind):
    rows = [{**row, "kind": kind} if row["kind"] == "stall" else row for row in fedavg.activities.to_pylist()]
    changed = replace(fedavg, activities=type(fedavg.activities).from_pylist(rows, schema=fedavg.activities.schema))
    assert kind in legend(timeline.draw([changed]))


def test_a_run_that_did_nothing_is_not_drawn(empty, fedavg):
    assert timeline.draw([empty]) is None
    assert len(timeline.draw([fedavg, empty]).axes) == 1
