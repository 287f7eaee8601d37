"""The activities of a run as a Chrome trace: a JSON document that Perfetto and chrome://tracing draw.

One process per device with one thread per resource (downlink, processor, uplink, and the radio, where it sleeps); the server is a process
of its own whose spans are the versions of the global model. Times are whole microseconds of virtual time: the format's unit, and what
touches in virtual time touches in the trace, since spans of a thread that overlap by a rounding error are out of the format, and Perfetto
lays them beside the others.

Sources: "Trace Event Format", Google, the section on complete events (ph X) and metadata events (ph M); Perfetto, "Visualizing external
trace formats", the section on the Chrome JSON format.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from fedtiny.results.activities import Activities

_MICROSECONDS: Final = 1e6
_ROWS_AT_ONCE: Final = 1 << 12
_SERVER: Final = 1
_FIRST_DEVICE: Final = 2
_THREADS: Final = {"downlink": 1, "processor": 2, "uplink": 3, "radio": 4}
_RESOURCES: Final = {"download": "downlink", "upload": "uplink", "promotion": "radio", "tail": "radio"}
_DETAILS: Final = ("bytes", "payload_bytes", "macs", "energy", "arrival")

Event = dict[str, Any]


def chrome_trace(rounds: pa.Table, activities: Activities, devices: pa.Table) -> Iterator[str]:
    """The whole trace as JSON text, piece by piece, since it is longer than the tables; the same tables give the same text."""
    before = '{"displayTimeUnit":"ms","traceEvents":[\n'
    for event in _events(rounds, activities, devices):
        yield before + json.dumps(event, separators=(",", ":"), allow_nan=False)
        before = ",\n"
    yield "\n]}\n"


def _events(rounds: pa.Table, activities: Activities, devices: pa.Table) -> Iterator[Event]:
    yield from _process(_SERVER, "server", ("versions",))
    for row in devices.select(["device", "profile", "network"]).to_pylist():
        name = f"device {row['device']}: {row['profile']} over {row['network']}"
        yield from _process(_FIRST_DEVICE + row["device"], name, tuple(_THREADS))
    yield from _versions(rounds)
    yield from _spans(activities)


def _process(process: int, name: str, threads: tuple[str, ...]) -> Iterator[Event]:
    yield {"ph": "M", "pid": process, "name": "process_name", "args": {"name": name}}
    yield {"ph": "M", "pid": process, "name": "process_sort_index", "args": {"sort_index": process}}
    for number, thread in enumerate(threads, start=1):
        yield {"ph": "M", "pid": process, "tid": number, "name": "thread_name", "args": {"name": thread}}


def _versions(rounds: pa.Table) -> Iterator[Event]:
    since = 0.0
    for row in rounds.to_pylist():
        until = row["virtual_time"]
        details = {key: row[key] for key in ("participants", "failures")}
        if row["accuracy"] is not None and math.isfinite(row["accuracy"]):
            details["accuracy"] = row["accuracy"]
        yield _span(_SERVER, 1, f"version {row['round']}", "version", since, until, details)
        since = until


def _spans(activities: Activities) -> Iterator[Event]:
    for row in (row for batch in activities.to_batches(_ROWS_AT_ONCE) for row in batch.to_pylist()):
        kind, number = row["kind"], row["round"]
        name = kind if number is None else f"{kind} {number}"
        details = {key: row[key] for key in _DETAILS if row[key]}
        if row["outcome"] != "done":
            details["outcome"] = row["outcome"]
        thread = _THREADS[_RESOURCES.get(kind, "processor")]
        yield _span(_FIRST_DEVICE + row["device"], thread, name, kind, row["start"], row["end"], details)


def _span(process: int, thread: int, name: str, category: str, start: float, end: float, details: Event) -> Event:
    begun, ended = round(start * _MICROSECONDS), round(end * _MICROSECONDS)
    times = {"ts": begun, "dur": ended - begun}
    return {"ph": "X", "pid": process, "tid": thread, "name": name, "cat": category, **times, "args": details}
