"""Devices that come and leave, in whole runs: as planned, whatever they do when they leave, and what the tables say of it."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import fedtiny
from fedtiny.errors import RoundError
from fedtiny.randomness import Streams
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.roll_call import RollCall

ROOT = Path(__file__).parents[1]
DEVICE = {"kind": "custom", "memory": "1 GB", "step_time": "100 ms", "power": {"idle": "1 W", "active": "3 W"}}
SERIAL = {**DEVICE, "runtime": "serial", "polling_interval": "300 ms", "start_up": "200 ms"}
NETWORK = {"kind": "custom", "latency": "50 ms", "jitter": "10 ms", "uplink": "100 kbit/s", "downlink": "200 kbit/s", "loss": 0.1}
PLAIN = {
    "name": "availability",
    "seed": 3,
    "model": {"kind": "linear"},
    "data": {"kind": "synthetic", "examples": 160, "test_examples": 8, "classes": 3, "image_size": 6},
    "training": {"batch_size": 8, "local_steps": 3, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
    "strategy": {"kind": "fedavg"},
    "stop": {"rounds": 5, "virtual_time": "10 h"},
}
TRACE = "device,start,end\n" + "".join(f"{name},{name % 3},{name % 3 + 2}\n{name},{5 + name / 10},9\n" for name in range(6))
KINDS = {
    "duty_cycle": {"kind": "duty_cycle", "on": "700 ms", "off": "400 ms"},
    "in step": {"kind": "duty_cycle", "on": "1 s", "off": "30 s", "phase": "20 s"},
    "markov": {"kind": "markov", "mean_on": "1 s", "mean_off": "500 ms"},
    "sessions": {"kind": "sessions"},
    "log-normal": {
        "kind": "sessions",
        "session": {"kind": "log_normal", "median": "1 s", "sigma": 1.0},
        "gap": {"kind": "log_normal", "median": "500 ms", "sigma": 2.0, "longest": "20 s"},
        "merge_gaps": "100 ms",
    },
    "trace": {"kind": "trace", "path": "trace.csv"},
}


def scenario(tmp_path, kind, **changes):
    availability = {**KINDS[kind], **changes.pop("availability", {})}
    if kind == "trace":
        path = tmp_path / "trace.csv"
        path.write_text(TRACE)
        availability["path"] = str(path)
    fleet = [
        {"count": 4, "device": DEVICE, "network": NETWORK, "availability": availability},
        {"count": 2, "device": SERIAL, "network": NETWORK, "availability": availability},
        {"count": 2, "device": DEVICE, "network": NETWORK},
    ]
    return Scenario.model_validate({**PLAIN, "fleet": fleet, **changes})


def outcome(loaded):
    try:
        return fedtiny.run(loaded)
    except RoundError as error:
        return str(error)


def assert_timed_alike(loaded):
    learned, timed = outcome(loaded), outcome(loaded.model_copy(update={"learning": "none"}))
    if isinstance(learned, str) or isinstance(timed, str):
        assert learned == timed
        return learned
    assert timed.activities.equals(learned.activities)
    shared = (
        "round",
        "virtual_time",
        "participants",
        "failures",
        "bytes_up",
        "bytes_down",
        "energy",
        "bottleneck_device",
        "bottleneck_cause",
    )
    assert timed.rounds.select(shared).equals(learned.rounds.select(shared))
    assert timed.critical_path.equals(learned.critical_path)
    assert timed.attribution == learned.attribution
    return timed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "leaving",
    [{}, {"resume_transfers": False, "noticed_after": "2 s"}, {"on_leave": "fail"}, {"on_leave": "fail", "noticed_after": "500 ms"}],
    ids=str,
)
@pytest.mark.parametrize(
    "strategy",
    [
        {"kind": "fedavg", "fraction_train": 0.7, "min_available_nodes": 4},
        {"kind": "dga", "delay": 4, "timeout": "3 s", "message_lifetime": "6 s"},
        {"kind": "fedbuff", "buffer": 3},
    ],
    ids=lambda strategy: strategy["kind"],
)
def test_a_run_is_as_planned(tmp_path, kind, leaving, strategy):
    assert_timed_alike(scenario(tmp_path, kind, availability=leaving, strategy=strategy))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("on_leave", ["pause", "fail"])
def test_a_processor_is_always_in_one_state_and_offline_as_its_timetable_says(tmp_path, kind, on_leave):
    loaded = scenario(tmp_path, kind, availability={"on_leave": on_leave}, strategy={"kind": "fedavg", "timeout": "5 s"}, learning="none")
    found = outcome(loaded)
    if isinstance(found, str):
        pytest.skip(found)
    rows = found.activities.to_pylist()
    end = max(row["end"] for row in rows)
    transfers = ("upload", "download")
    for device in range(8):
        own = sorted((row["start"], row["end"], row["kind"]) for row in rows if row["device"] == device and row["kind"] not in transfers)
        own = [row for row in own if row[1] > row[0]]
        assert own[0][0] == 0.0
        assert own[-1][1] == end
        assert all(before[1] == after[0] for before, after in itertools.pairwise(own))
        away = [(start, stop) for start, stop, kind in own if kind == "offline"]
        expected = RollCall(loaded.fleet, Streams(loaded.seed), ()).away(np.array([device]), end)
        assert away == [span for span in expected.spans() if span[1] > span[0]]
        for name in transfers:
            spans = sorted((row["start"], row["end"]) for row in rows if row["device"] == device and row["kind"] == name)
            assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
            assert not any(
                start < stop and begin < finish for begin, finish in spans for start, stop in away if begin < stop and start < finish
            )
    assert all(row["energy"] == 0.0 and row["round"] is None for row in rows if row["kind"] == "offline")


def test_devices_that_are_never_missing_change_nothing(tmp_path):
    plain = fedtiny.run(Scenario.model_validate({**PLAIN, "fleet": [{"count": 4, "device": DEVICE, "network": NETWORK}]}))
    path = tmp_path / "all.json"
    path.write_text('{"length": 10, "devices": [{"online": [[0, 10]]}]}')
    always = {"kind": "trace", "path": str(path)}
    there = fedtiny.run(
        Scenario.model_validate({**PLAIN, "fleet": [{"count": 4, "device": DEVICE, "network": NETWORK, "availability": always}]})
    )
    assert there.activities.equals(plain.activities)
    assert there.rounds.equals(plain.rounds)
    for name, values in plain.model.items():
        assert there.model[name].tobytes() == values.tobytes()


def lonely(availability, **changes):
    network = {"kind": "custom", "latency": "0 s"}
    fleet = [{"count": 2, "device": DEVICE, "network": network, "availability": availability}]
    return Scenario.model_validate({**PLAIN, "fleet": fleet, "learning": "none", **changes})


def test_rounds_wait_for_enough_devices_in_whole_seconds():
    """Online from 10.5 s on for 100 s, then not for 20 s; the server looks every second from time 0."""
    cycle = {"kind": "duty_cycle", "on": "100 s", "off": "20 s", "phase": "109.5 s"}
    found = fedtiny.run(lonely(cycle, stop={"rounds": 2}))
    assert found.rounds["virtual_time"].to_pylist() == pytest.approx([0.0, 11.3, 11.6])
    assert [row["kind"] for row in found.activities.to_pylist()].count("offline") == 2


def test_paused_work_ends_after_its_seconds_and_the_gaps_it_crosses():
    """Ten rounds of 0.3 s of work, online for 1 s and offline for 4 s in turn."""
    cycle = {"kind": "duty_cycle", "on": "1 s", "off": "4 s", "phase": "0 s"}
    times = fedtiny.run(lonely(cycle, stop={"rounds": 10})).rounds["virtual_time"].to_pylist()
    assert times == pytest.approx([0, 0.3, 0.6, 0.9, 5.2, 5.5, 5.8, 10.1, 10.4, 10.7, 15.0])


def test_a_run_whose_devices_never_come_says_so(tmp_path):
    path = tmp_path / "none.json"
    path.write_text('{"length": 10, "devices": [{"online": []}]}')
    never = {"kind": "trace", "path": str(path)}
    for strategy in ({"kind": "fedavg"}, {"kind": "dga", "delay": 2}, {"kind": "fedasync"}, {"kind": "semi_synchronous"}):
        with pytest.raises(RoundError, match="waits for 1 devices and 0 take part"):
            fedtiny.run(lonely(never, strategy=strategy, stop={"rounds": 2}))


def test_the_horizon_ends_a_run_that_waits_for_devices():
    cycle = {"kind": "duty_cycle", "on": "1 s", "off": "1 h", "phase": "2 s"}
    found = fedtiny.run(lonely(cycle, stop={"virtual_time": "100 s"}))
    assert found.rounds["round"].to_pylist() == [0]
    assert found.summary["virtual_time"] == 0.0


def test_who_left_is_asked_until_the_server_notices():
    """Both are online in turn: the other comes when one leaves. Who is asked while away is waited for, or gives an error."""
    network = {"kind": "custom", "latency": "0 s"}

    def times(**leaving):
        fleet = [
            {"count": 1, "device": DEVICE, "network": network, "availability": {"kind": "duty_cycle", "on": "4 s", "off": "4 s", **keys}}
            for keys in ({"phase": "0 s", **leaving}, {"phase": "4 s", **leaving})
        ]
        loaded = Scenario.model_validate({**PLAIN, "fleet": fleet, "learning": "none", "stop": {"rounds": 20}})
        return outcome(loaded)

    alone = times()
    assert max(alone.rounds["participants"].to_pylist()) == 1
    noticed = times(noticed_after="1 s")
    assert max(noticed.rounds["participants"].to_pylist()) == 2, "the one that has just left is asked too, and waited for"


def test_who_fails_is_told_apart_by_what_it_did(tmp_path):
    loaded = scenario(tmp_path, "markov", availability={"on_leave": "fail"}, strategy={"kind": "fedbuff", "buffer": 4}, stop={"rounds": 40})
    found = fedtiny.run(loaded.model_copy(update={"learning": "none"}))
    kinds = {row["kind"] for row in found.activities.to_pylist() if row["outcome"] == "aborted"}
    assert kinds == {"download", "train", "upload", "start_up"}
    assert np.sum(found.rounds["failures"].to_numpy()) > 0
    paused = fedtiny.run(scenario(tmp_path, "markov", strategy={"kind": "fedbuff", "buffer": 4}, stop={"rounds": 40}, learning="none"))
    rows = paused.activities.to_pylist()
    assert {row["kind"] for row in rows if row["outcome"] == "interrupted"} == {"download", "train", "upload", "start_up"}
    again = scenario(tmp_path, "markov", availability={"resume_transfers": False}, stop={"rounds": 40}, learning="none")
    assert {row["kind"] for row in fedtiny.run(again).activities.to_pylist() if row["outcome"] == "repeated"} == {"download", "upload"}
