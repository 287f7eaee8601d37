import itertools
import json

from fedtiny.results.timeline import chrome_trace


def spans(run):
    document = json.loads("".join(chrome_trace(run.rounds, run.activities, run.devices)))
    return document, [event for event in document["traceEvents"] if event["ph"] == "X"]


def test_every_activity_and_every_version_is_a_span(run):
    _, events = spans(run)
    assert len(events) == run.activities.num_rows + run.rounds.num_rows
    assert {event["cat"] for event in events} == {"version", "download", "train", "upload", "stall", "idle"}


METADATA = {"process_name": "name", "process_sort_index": "sort_index", "thread_name": "name"}
"""Metadata events and their argument, of those that the Trace Event Format defines."""


def check_format(document):
    """What the Trace Event Format asks of a JSON object with complete and metadata events."""
    assert set(document) == {"traceEvents", "displayTimeUnit"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    named = set()
    for event in document["traceEvents"]:
        assert event["ph"] in "XM"
        assert type(event["pid"]) is int
        assert event["pid"] > 0
        assert isinstance(event["name"], str)
        assert event["name"]
        if event["ph"] == "M":
            assert set(event["args"]) == {METADATA[event["name"]]}
            assert ("tid" in event) == event["name"].startswith("thread")
            named |= {(event["pid"], event["tid"])} if "tid" in event else set()
        else:
            assert set(event) == {"ph", "pid", "tid", "name", "cat", "ts", "dur", "args"}
            assert all(type(event[key]) is int and event[key] >= 0 for key in ("tid", "ts", "dur"))
            assert isinstance(event["cat"], str)
            assert isinstance(event["args"], dict)
            assert (event["pid"], event["tid"]) in named, "a span stands on a thread that has no name yet"


def check_nesting(events):
    """Spans of a thread do not overlap, which Perfetto needs to lay them in one row."""
    free = {}
    for event in sorted(events, key=lambda event: (event["ts"], event["dur"])):
        thread = (event["pid"], event["tid"])
        assert event["ts"] >= free.get(thread, 0)
        free[thread] = event["ts"] + event["dur"]


def test_the_document_is_of_the_trace_event_format(run):
    document, events = spans(run)
    check_format(document)
    check_nesting(events)


def test_what_touches_in_virtual_time_touches_in_the_trace(run):
    step = 1 / 3 + 1e-7
    template = next(row for row in run.activities.to_pylist() if row["kind"] == "train")
    rows = [{**template, "start": 1e4 + step * place, "end": 1e4 + step * (place + 1)} for place in range(300)]
    activities = type(run.activities).from_pylist(rows, schema=run.activities.schema)
    document = json.loads("".join(chrome_trace(run.rounds, activities, run.devices)))
    trained = [event for event in document["traceEvents"] if event.get("cat") == "train"]
    check_nesting(trained)
    assert all(one["ts"] + one["dur"] == after["ts"] for one, after in itertools.pairwise(trained))


def test_times_are_microseconds_of_virtual_time(run):
    _, events = spans(run)
    upload = next(event for event in events if event["cat"] == "upload")
    assert (upload["ts"], upload["dur"]) == (4_500_000.0, 1_000_000.0)
    assert upload["args"] == {"bytes": 50, "payload_bytes": 50, "energy": 1.0, "arrival": 6.0}


def test_devices_are_processes_with_a_thread_for_each_resource(run):
    document, events = spans(run)
    names = {event["pid"]: event["args"]["name"] for event in document["traceEvents"] if event["name"] == "process_name"}
    assert names[1] == "server"
    assert names[4] == "device 2: stm32f746 over lte_driving"
    threads = {(event["cat"], event["tid"]) for event in events if event["pid"] == 2}
    assert threads == {("download", 1), ("stall", 2), ("train", 2), ("upload", 3)}


def test_a_radio_that_sleeps_is_a_resource_of_its_own(run):
    rows = run.activities.to_pylist()
    rows[3]["kind"] = "tail"
    activities = type(run.activities).from_pylist(rows, schema=run.activities.schema)
    document = json.loads("".join(chrome_trace(run.rounds, activities, run.devices)))
    assert [event["tid"] for event in document["traceEvents"] if event.get("cat") == "tail"] == [4]


def test_an_outcome_that_is_not_done_is_told(run):
    rows = run.activities.to_pylist()
    rows[3]["outcome"] = "lost"
    activities = type(run.activities).from_pylist(rows, schema=run.activities.schema)
    document = json.loads("".join(chrome_trace(run.rounds, activities, run.devices)))
    assert [event["args"].get("outcome") for event in document["traceEvents"] if event.get("cat") == "upload"] == ["lost"]


def test_numbers_that_json_cannot_say_do_not_break_the_trace(run):
    rows = [{**row, "accuracy": float("nan")} for row in run.rounds.to_pylist()]
    rounds = type(run.rounds).from_pylist(rows, schema=run.rounds.schema)
    json.loads("".join(chrome_trace(rounds, run.activities, run.devices)))
