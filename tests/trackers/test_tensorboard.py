"""What TensorBoard reads from the event file is the rounds' table."""

import numpy as np
import pytest

from fedtiny.trackers.destination import Destination
from fedtiny.trackers.measures import LATER, LIVE

reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", exc_type=ImportError)


@pytest.fixture
def place(tmp_path):
    return Destination("tensorboard", str(tmp_path / "board"))


def events(tmp_path):
    found = reader.EventAccumulator(str(tmp_path / "board" / "the_run"))
    found.Reload()
    return found


def test_every_evaluated_round_is_a_point_at_its_round_and_virtual_time(tmp_path, logged_run, place):
    result = logged_run(place)
    found = events(tmp_path)
    evaluated = [row for row in result.rounds.to_pylist() if row["accuracy"] is not None]
    for name in (*LIVE, *LATER):
        points = found.Scalars(name)
        assert [point.step for point in points] == [row["round"] for row in evaluated]
        assert [point.wall_time for point in points] == [row["virtual_time"] for row in evaluated]
        assert [point.value for point in points] == [float(np.float32(row[name])) for row in evaluated]


def test_summary_and_settings_are_hyper_parameters(tmp_path, logged_run, place):
    result = logged_run(place)
    found = events(tmp_path)
    (point,) = found.Scalars("final/accuracy")
    assert point.value == pytest.approx(result.summary["accuracy"])
    assert point.step == 5
    start = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"fleet.0.count" in start
    assert b"done" in start


def test_a_run_again_replaces_its_points_and_keeps_files_of_others(tmp_path, logged_run, place):
    logged_run(place)
    other = tmp_path / "board" / "the_run" / "events.out.tfevents.1.host.1.0"
    other.touch()
    logged_run(place)
    assert other.exists()
    assert len(list(other.parent.glob("*.fedtiny"))) == 1


def test_points_are_there_while_the_run_goes_on(tmp_path, logged_run, place):
    seen = []

    def look(state):
        if state.phase == "rounds" and state.done == 4:
            seen.extend(point.step for point in events(tmp_path).Scalars("accuracy"))

    logged_run(place, progress=look)
    assert seen == [0, 2, 4]
