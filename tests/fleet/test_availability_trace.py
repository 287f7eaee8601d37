"""Traces of availability: the three formats, what is repeated, and what is refused."""

import json
import pickle

import numpy as np
import pytest

from fedtiny.errors import ScenarioError
from fedtiny.fleet.availability import Trace
from fedtiny.fleet.availability_trace import pattern_of, read_patterns
from fedtiny.fleet.timetable import Repeated, Spans
from fedtiny.randomness import Streams

FEDSCALE = {
    3834: {
        "duration": 211625,
        "inactive": [65881, 133574, 208292],
        "finish_time": 518400,
        "active": [12788, 100044, 188992],
        "model": "CPH1801",
    },
    "7": {"duration": 1, "inactive": [], "finish_time": 86400, "active": [], "model": "X"},
}
FLASH = {
    "0": {
        "guid": "a",
        "model": "X",
        "messages": "2020-01-31 08:00:00\tscreen_off\n2020-01-31 08:00:10\tbattery_charged_on\n2020-01-31 08:00:20\tWiFi\n"
        "2020-01-31 08:00:30\t80.0%\n2020-01-31 08:00:40\tscreen_on\n\n2020-01-31 08:00:50\tscreen_lock\n"
        "2020-01-31 08:01:00\t4G\n2020-01-31 08:01:20\twifi\n2020-01-31 08:01:40\tbattery_okay\n",
    }
}


def sessions(pattern, periods=1):
    """(start, end) of the online spans of some periods."""
    spans = Spans(Repeated([pattern], np.zeros(1, np.int64), np.zeros(1)), np.arange(1))
    found = []
    while spans.since[0] < periods * pattern.length:
        if spans.online[0]:
            found.append((float(spans.since[0]), float(spans.until[0])))
        if np.isinf(spans.until[0]):
            break
        spans.step(np.arange(1))
    return found


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("name", ["trace.pkl", "trace.json"])
def test_fedscale_clients_are_there_from_active_to_inactive(tmp_path, name):
    content = pickle.dumps(FEDSCALE) if name.endswith("pkl") else json.dumps(FEDSCALE)
    patterns = read_patterns(written(tmp_path, name, content), "fedscale", 0.0)
    assert sessions(patterns[0], 2) == [
        (start + shift, end + shift) for shift in (0, 518400) for start, end in ((12788, 65881), (100044, 133574), (188992, 208292))
    ]
    assert sessions(patterns[1]) == []


def test_flash_users_are_there_while_idle_charging_and_on_wifi(tmp_path):
    (pattern,) = read_patterns(written(tmp_path, "flash.json", json.dumps(FLASH)), "flash", 0.0)
    assert pattern.length == 100.0
    assert sessions(pattern) == [(20, 40), (50, 60), (80, 100)]


@pytest.mark.parametrize("name", ["own.json", "own.csv"])
def test_our_own_formats_say_the_same(tmp_path, name):
    content = {
        "own.json": json.dumps({"length": 30, "devices": [{"online": [[0, 5], [10, 20.5]]}, {"online": [[3, 30]]}]}),
        "own.csv": "device,start,end\na,0,5\nb,3,30\na,10,20.5\n",
    }[name]
    first, second = read_patterns(written(tmp_path, name, content), "fedtiny", 0.0)
    assert sessions(first, 2) == [(0, 5), (10, 20.5), (30, 35), (40, 50.5)]
    assert sessions(second, 2) == [(3, 30), (33, 60)]


@pytest.mark.parametrize(
    ("given", "merge", "expected"),
    [
        ([(0, 5), (95, 100)], 0, [(0, 5), (95, 105)]),
        ([(5, 20), (10, 30), (30, 40)], 0, [(5, 40)]),
        ([(5, 20), (40, 50)], 21, [(5, 50)]),
        ([(5, 20), (30, 98)], 8, [(0, 20), (30, 120)]),
        ([(3, 98)], 6, [(0, np.inf)]),
        ([(0, 100)], 0, [(0, np.inf)]),
        ([(-5, 10), (90, 200), (50, 50), (60, 40)], 0, [(0, 10), (90, 110)]),
    ],
)
def test_patterns_repeat_without_an_end(given, merge, expected):
    assert sessions(pattern_of(given, 100.0, merge)) == expected


def test_each_device_takes_one_that_was_observed(tmp_path):
    path = written(tmp_path, "own.csv", "device,start,end\n" + "".join(f"{name},0,{name + 1}\n" for name in range(8)) + "9,0,100\n")
    in_order = Trace(path=path, take="in_order").timetable(Streams(0), 0, 20)
    assert in_order.first(np.arange(20))[2].tolist()[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert in_order.first(np.arange(20))[2].tolist()[9:11] == [1, 2]
    drawn = Trace(path=path).timetable(Streams(0), 0, 9000).first(np.arange(9000))[2]
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == 9
    assert counts.min() > 850


def test_a_run_may_begin_anywhere_in_the_trace(tmp_path):
    path = written(tmp_path, "own.csv", "device,start,end\na,10,20\nb,0,50\n")
    for begin, online, until in ((0, False, 10), (15, True, 5), (20, False, 40), (65, True, 5)):
        timetable = Trace(path=path, take="in_order", begin=f"{begin} s").timetable(Streams(0), 0, 1)
        first = timetable.first(np.arange(1))
        assert (bool(first[0][0]), float(first[2][0])) == (online, until)


@pytest.mark.parametrize(
    ("name", "form", "content", "message"),
    [
        ("a.json", "fedtiny", "{", "is no JSON"),
        ("a.json", "fedtiny", "[]", "the file is no dictionary"),
        ("a.json", "fedtiny", '{"length": 5}', "devices is no list"),
        ("a.json", "fedtiny", '{"length": 5, "devices": [{"online": [[1, 2, 3]]}]}', "session of 3 numbers"),
        ("a.json", "fedtiny", '{"length": "5", "devices": []}', "length holds something that is no number"),
        ("a.json", "fedtiny", '{"length": 0, "devices": [{"online": []}]}', "trace of 0.0 s"),
        ("a.json", "fedtiny", '{"length": 5, "devices": []}', "holds no device"),
        ("a.json", "fedtiny", '{"length": 5, "devices": [{"online": [[1, true]]}]}', "no number of seconds"),
        ("a.csv", "fedtiny", "start,end\n", "the first line of a .csv is device,start,end"),
        ("a.csv", "fedtiny", "device,start,end\na,1\n", "line 2 has 2 columns"),
        ("a.csv", "fedtiny", "device,start,end\na,1,x\n", "line 2 holds something that is no number"),
        ("a.json", "flash", '{"0": {"messages": "2020-13-31 08:00:00\\twifi"}}', "message without a time"),
        ("a.csv", "fedtiny", b"\xff\xfe", "no text in UTF-8"),
        ("a.pkl", "fedscale", b"cos\nsystem\n(S'true'\ntR.", "asks for GLOBAL"),
        ("a.pkl", "fedscale", pickle.dumps({1: {"active": [1], "inactive": [], "finish_time": 3}}), "active 1 times and inactive 0 times"),
        ("a.pkl", "fedscale", pickle.dumps({1: {"active": [1], "inactive": [float("nan")], "finish_time": 3}}), "no number of seconds"),
        ("a.json", "flash", '{"0": {"messages": "yesterday\\twifi"}}', "message without a time"),
        ("a.json", "flash", '{"0": {}}', "no text of messages"),
    ],
)
def test_what_is_no_trace_is_refused_with_a_reason(tmp_path, name, form, content, message):
    with pytest.raises(ScenarioError, match=message):
        read_patterns(written(tmp_path, name, content), form, 0.0)


def test_another_file_than_the_one_that_is_named_is_refused(tmp_path):
    path = written(tmp_path, "a.csv", "device,start,end\na,10,20\n")
    with pytest.raises(ScenarioError, match="it is not the same file"):
        read_patterns(path, "fedtiny", 0.0, "0" * 64)
    with pytest.raises(ScenarioError, match="cannot read"):
        read_patterns(str(tmp_path / "none"), "fedtiny", 0.0)
