"""From a trace to tables, by hand: what two devices did in ten seconds, what it cost, and to which version it is counted."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedtiny import recording
from fedtiny.federation.grid import Participation
from fedtiny.preparation import prepare
from fedtiny.recording import Version, activities_table, devices_table, rounds_table, summary_of
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.trace import Activity, Trace
from fedtiny.training.evaluation import Quality

POWER = {"idle": "1 W", "active": "5 W"}
RADIO = {"energy_up": "2 J/B", "energy_down": "1 J/B"}


def world(*devices, **changes):
    """A world of devices, each given as (device keys, network keys)."""
    return prepare(
        Scenario.model_validate(
            {
                "name": "recording",
                "model": {"kind": "linear"},
                "data": {"kind": "synthetic", "examples": 12, "image_size": 4, "test_examples": 10},
                "strategy": {"kind": "fedavg"},
                "fleet": [
                    {
                        "count": 1,
                        "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s", **device},
                        "network": {"kind": "custom", "latency": "0 s", **network},
                    }
                    for device, network in devices
                ],
                "stop": {"rounds": 1},
                **changes,
            }
        )
    )


def recorded(*activities, asked=()):
    """A trace of finished activities; `asked` holds (device, round, time)."""
    trace = Trace(asked=list(asked))
    for activity in activities:
        trace.record(activity)
    return trace


def one_round(device=0):
    """Device: download 0-1 s (arrives at 2 s), train 2-6 s, upload 6-8 s (arrives at 9 s)."""
    return recorded(
        Activity(device, 1, "download", 0.0, 1.0, arrival=2.0, bytes=10, payload_bytes=8),
        Activity(device, 1, "train", 2.0, 6.0, macs=100.0),
        Activity(device, 1, "upload", 6.0, 8.0, arrival=9.0, bytes=20, payload_bytes=8),
        asked=[(device, 1, 0.0)],
    )


def version(number, time, **changes):
    values = {"participation": Participation(1, 0), "quality": Quality(0.5, 1.5), "bytes_up": 0, "bytes_down": 0, "begun": 0, **changes}
    return Version(number, time, **values)


def by_kind(table, column, device=0):
    return [(row["kind"], row[column]) for row in table.to_pylist() if row["device"] == device]


def test_what_a_device_did_not_do_it_waited():
    table = activities_table(world(({}, {}), ({}, {})), one_round(), {0: 0.0, 1: 9.0}, 10.0)
    spans = [(row["kind"], row["start"], row["end"], row["round"]) for row in table.to_pylist() if row["device"] == 0]
    assert spans == [
        ("download", 0.0, 1.0, 1),
        ("stall", 0.0, 2.0, 1),
        ("train", 2.0, 6.0, 1),
        ("stall", 6.0, 9.0, 1),
        ("upload", 6.0, 8.0, 1),
        ("idle", 9.0, 10.0, None),
    ]
    assert by_kind(table, "end", device=1) == [("idle", 10.0)]


def test_activities_are_in_the_order_of_their_start():
    table = activities_table(world(({}, {}), ({}, {})), one_round(device=1), {1: 9.0}, 10.0)
    keys = [(row["start"], row["device"], row["kind"]) for row in table.to_pylist()]
    assert keys == sorted(keys)


def test_work_and_waiting_cost_power_and_transfers_cost_their_bytes():
    table = activities_table(world(({"power": POWER}, RADIO)), one_round(), {1: 9.0}, 10.0)
    assert by_kind(table, "energy") == [
        ("download", 10 * 1.0),
        ("stall", 2 * 1.0),
        ("train", 4 * 5.0),
        ("stall", 3 * 1.0),
        ("upload", 20 * 2.0),
        ("idle", 1 * 1.0),
    ]


def test_the_radio_of_a_network_whose_energy_is_not_known_counts_nothing():
    table = activities_table(world(({"power": POWER}, {})), one_round(), {1: 9.0}, 10.0)
    assert dict(by_kind(table, "energy"))["upload"] == 0.0


def test_a_device_of_unknown_power_has_no_energy():
    known_and_unknown = world(({"power": POWER}, {}), ({}, RADIO))
    table = activities_table(known_and_unknown, one_round(device=1), {1: 9.0}, 10.0)
    assert dict(by_kind(table, "energy", device=1)) == {"download": 10.0, "stall": None, "train": None, "upload": 40.0, "idle": None}
    assert devices_table(known_and_unknown, table)["energy"].to_pylist() == [10.0, None]


def test_energy_of_a_version_is_what_was_spent_by_then():
    one, trace = world(({"power": POWER}, RADIO)), one_round()
    table = activities_table(one, trace, {1: 9.0}, 10.0)
    versions = [version(0, 0.0), version(1, 4.0, begun=3), version(2, 9.0, begun=3), version(3, 10.0, begun=3)]
    expected = [0.0, 10 + 2 + 2 * 5, 10 + 2 + 4 * 5 + 3 + 40, 10 + 2 + 4 * 5 + 3 + 40 + 1]
    assert rounds_table(one, trace, versions, table)["energy"].to_pylist() == pytest.approx(expected)


def test_what_a_version_sets_off_is_not_its_energy_even_if_it_takes_no_time():
    trace = recorded(
        Activity(0, 1, "download", 0.0, 0.0, arrival=0.0, bytes=10),
        Activity(0, 1, "train", 0.0, 2.0),
        Activity(0, 1, "upload", 2.0, 2.0, arrival=2.0, bytes=20),
        Activity(0, 2, "download", 2.0, 2.0, arrival=2.0, bytes=10),
        Activity(0, 2, "train", 2.0, 4.0),
        asked=[(0, 1, 0.0), (0, 2, 2.0)],
    )
    one = world(({"power": POWER}, RADIO))
    table = activities_table(one, trace, {0: 0.0, 1: 2.0}, 4.0)
    versions = [version(0, 0.0), version(1, 2.0, begun=3)]
    assert rounds_table(one, trace, versions, table)["energy"].to_pylist() == [0.0, 10 + 2 * 5 + 40]


def test_energy_of_a_fleet_with_an_unknown_device_is_unknown():
    two, trace = world(({"power": POWER}, RADIO), ({}, {})), one_round()
    table = activities_table(two, trace, {1: 9.0}, 10.0)
    assert rounds_table(two, trace, [version(0, 0.0), version(1, 9.0)], table)["energy"].to_pylist() == [None, None]


def test_a_row_is_a_version():
    one, trace = world(({}, {})), one_round()
    table = activities_table(one, trace, {1: 9.0}, 10.0)
    versions = [version(0, 0.0), version(1, 9.0, quality=None, participation=Participation(3, 2), bytes_up=20, bytes_down=10)]
    first, second = rounds_table(one, trace, versions, table).to_pylist()
    assert (first["round"], first["virtual_time"], first["accuracy"], first["loss"]) == (0, 0.0, 0.5, 1.5)
    assert (second["accuracy"], second["loss"], second["participants"], second["failures"]) == (None, None, 3, 2)
    assert (second["bytes_up"], second["bytes_down"]) == (20, 10)
    assert (second["bottleneck_device"], second["bottleneck_cause"]) == (None, None)


def test_where_targets_are_no_classes_accuracy_is_null():
    one, trace = world(({}, {})), one_round()
    table = activities_table(one, trace, {1: 9.0}, 10.0)
    (row,) = rounds_table(one, trace, [version(0, 0.0, quality=Quality(None, 2.0))], table).to_pylist()
    assert (row["accuracy"], row["loss"]) == (None, 2.0)


def test_a_device_is_described_by_what_it_did():
    three = world(({"memory": "2 MB"}, {}), ({}, {}), ({"memory": "100 B"}, {}), on_out_of_memory="exclude")
    table = activities_table(three, one_round(), {0: 0.0, 1: 9.0}, 10.0)
    trained, unused, excluded = devices_table(three, table).to_pylist()
    assert {key: trained[key] for key in ("device", "group", "profile", "network", "scheme", "examples", "memory_budget", "status")} == {
        "device": 0,
        "group": 0,
        "profile": "custom",
        "network": "custom",
        "scheme": "full",
        "examples": 4,
        "memory_budget": 2_000_000,
        "status": "trained",
    }
    assert (trained["rounds"], trained["stall_time"], trained["idle_time"]) == (1, 5.0, 1.0)
    assert (unused["status"], unused["rounds"], unused["stall_time"], unused["idle_time"]) == ("unused", 0, 0.0, 10.0)
    assert (excluded["status"], excluded["scheme"], excluded["idle_time"]) == ("excluded", None, 0.0)
    assert trained["peak_memory"] == excluded["peak_memory"] == three.participants[0].ledger.total_bytes


def test_rounds_of_a_device_are_those_it_trained_in_to_the_end():
    trace = recorded(
        Activity(0, 1, "train", 0.0, 1.0),
        Activity(0, 1, "train", 1.0, 2.0),
        Activity(0, 2, "train", 2.0, 3.0),
        Activity(0, 3, "train", 3.0, 4.0, outcome="cancelled"),
    )
    one = world(({}, {}))
    (row,) = devices_table(one, activities_table(one, trace, {}, 4.0)).to_pylist()
    assert row["rounds"] == 2


def test_the_summary_adds_the_lost_mass():
    one, trace = world(({}, {})), one_round()
    table = activities_table(one, trace, {1: 9.0}, 10.0)
    rounds = rounds_table(one, trace, [version(0, 0.0), version(1, 9.0, quality=Quality(0.75, 1.0))], table)
    summary = summary_of(rounds, devices_table(one, table), 0.7, 2.5)
    assert (summary["lost_mass"], summary["accuracy"], summary["time_to_target"], summary["participants"]) == (2.5, 0.75, 9.0, 1)
    assert np.isfinite(summary["loss"])


@pytest.fixture(scope="module")
def plain():
    """The plain twin of the tables."""
    spec = importlib.util.spec_from_file_location("plain_recording", Path(__file__).with_name("plain_recording.py"))
    module = sys.modules["plain_recording"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def mixed_world():
    """Devices of known and unknown power, with and without the joules of a byte, one of which does not take part."""
    return world(
        ({"power": POWER}, RADIO), ({"power": POWER}, {}), ({}, RADIO), ({"memory": "100 B"}, {}), ({"power": POWER}, RADIO),
        on_out_of_memory="exclude",
    )  # fmt: skip


@st.composite
def traces(draw, devices):
    """A trace of devices that do one thing after another, and the times of versions."""
    trace, rows = Trace(), []
    for device in devices:
        time = 0.0
        for number in range(1, draw(st.integers(0, 4)) + 1):
            time += draw(st.sampled_from((0, 0.5, 1, 2.3)))
            rows.append((time, "ask", device, number, 0.0, 0, "done"))
            for kind in draw(st.lists(st.sampled_from(("download", "train", "evaluate", "upload")), max_size=4)):
                seconds, amount = draw(st.sampled_from((0.0, 0.7, 1.0, 3.1))), draw(st.integers(0, 9))
                outcome = draw(st.sampled_from(("done", "done", "cancelled", "late", "lost", "failed")))
                rows.append((time, kind, device, number, seconds, amount, outcome))
                time += seconds
    for time, kind, device, number, seconds, amount, outcome in sorted(rows, key=lambda row: row[0]):
        if kind == "ask":
            trace.asked.append((device, number, time))
        elif kind in ("download", "upload"):
            arrival = time + seconds + 0.1 if outcome == "done" else None
            trace.record(Activity(device, number, kind, time, time + seconds, arrival, amount, amount // 2, outcome=outcome))
        else:
            trace.record(Activity(device, number, kind, time, time + seconds, macs=amount / 3, outcome=outcome))
    times = sorted(draw(st.lists(st.sampled_from((0.0, 0.5, 1.7, 3.0, 5.6, 9.0)), min_size=1, max_size=5)))
    return trace, times


@settings(deadline=None, max_examples=100)
@given(data=st.data(), known=st.booleans())
def test_tables_of_arrays_are_those_made_one_activity_at_a_time(plain, mixed_world, data, known):
    trace, times = data.draw(traces((0, 1, 4) if known else (0, 1, 2, 4)))
    versions = [version(number, time, begun=sum(item.start < time for item in trace.activities)) for number, time in enumerate(times)]
    end = max([*(activity.end for activity in trace.activities), 1.0])
    of_round = {item.round: item.virtual_time for item in versions}
    table, slow = (made(mixed_world, trace, of_round, end) for made in (activities_table, plain.activities_table))
    assert table.equals(slow)
    assert devices_table(mixed_world, table).equals(plain.devices_table(mixed_world, slow))
    energy = rounds_table(mixed_world, trace, versions, table)["energy"]
    assert energy.to_pylist() == plain.energy_column(mixed_world, trace, versions, slow)


def test_of_a_large_fleet_only_those_whom_a_message_reached_are_listed(monkeypatch):
    monkeypatch.setattr(recording, "LISTED_WHOLE", 2)
    three = world(({"power": POWER}, {}), ({"power": POWER}, {}), ({"power": POWER}, {}))
    table = activities_table(three, one_round(device=1), {1: 9.0}, 10.0)
    assert set(table["device"].to_pylist()) == {1}
    (row,) = devices_table(three, table).to_pylist()
    assert (row["device"], row["rounds"], row["stall_time"], row["idle_time"]) == (1, 1, 5.0, 1.0)
    assert rounds_table(three, one_round(device=1), [version(0, 0.0), version(1, 10.0, begun=3)], table)["energy"].to_pylist() == [
        0.0,
        26.0,
    ]
