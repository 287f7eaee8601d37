"""Traces of availability: when devices that were observed were there, from files of three sorts.

| format | file |
|---|---|
| fedtiny, .json | {"length": 604800, "devices": [{"online": [[0, 3600], [7200, 9000.5]]}, ...]}: seconds, from a moment on, up to another |
| fedtiny, .csv | the columns device,start,end, a row for a session (s); the trace is as long as its last session says |
| fedscale | {client: {"active": [start, ...], "inactive": [end, ...], "finish_time": length, ...}}, in seconds; a pickle or .json |
| flash | {user: {"messages": "2020-01-31 08:00:00\\tscreen_off\\n...", ...}}, .json |

A trace begins again when it is over, each device's after its own length, as FedScale and FLASH do: a session that reaches the end goes
on in one that begins at the start. FedScale's client is there from active[k] to inactive[k] (fedscale/cloud/internal/client_metadata.py,
`is_active`). FLASH's is there while its screen is off or locked, it is charging and on Wi-Fi, each as the last event said, from its first
event to its last (FLASH, simulator: timer.py, which takes "locked" alone for idle; its paper and configuration: idle, charging, Wi-Fi).
A pickle is read and never executed (plain_pickle.py).

Lai et al.: FedScale: Benchmarking Model and System Performance of Federated Learning at Scale. ICML 2022.
Yang et al.: Characterizing Impacts of Heterogeneity in Federated Learning upon Large-Scale Smartphone Data. WWW 2021.
"""

import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from fedtiny.errors import ScenarioError
from fedtiny.fleet.plain_pickle import NotPlain, plain_values
from fedtiny.fleet.timetable import Pattern

TraceFormat = Literal["fedtiny", "fedscale", "flash"]
Session = tuple[float, float]

MOST_BYTES: Final = 1 << 30
"""The largest file that is read."""
MOST_SESSIONS: Final = 50_000_000
"""The most sessions that a file may hold."""

_EVENTS: Final[dict[str, tuple[str, bool]]] = {
    "battery_charged_on": ("charging", True),
    "battery_charged_off": ("charging", False),
    "screen_off": ("dark", True),
    "screen_on": ("dark", False),
    "screen_lock": ("locked", True),
    "screen_unlock": ("locked", False),
    "wifi": ("wifi", True),
    **dict.fromkeys(("unknown", "2g", "3g", "4g", "5g"), ("wifi", False)),
}


_MOMENT: Final = r"(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})"


class _Unreadable(ValueError):  # noqa: N818  (it says what the content is)
    """What is wrong with a file."""


def read_patterns(path: str, form: TraceFormat, merge_gaps: float, sha256: str | None = None) -> list[Pattern]:
    """What each observed device repeats, gaps shorter than `merge_gaps` (s) left out. Raises ScenarioError where the file cannot be read,
    or is not the one with that SHA-256."""
    try:
        content = _content(Path(path))
        if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise _Unreadable(f"it has SHA-256 {found}, but the scenario says {sha256}: it is not the same file")
        return list(_patterns(content, Path(path).suffix.lower(), form, merge_gaps))
    except OSError as error:
        raise ScenarioError(f"cannot read the availability trace {path}: {error.strerror or error}") from error
    except (_Unreadable, NotPlain) as error:
        raise ScenarioError(f"{path} is no availability trace of format {form}: {error}") from error


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _Unreadable(f"it has more than {MOST_BYTES} bytes: leave out some devices")
    return content


def _patterns(content: bytes, suffix: str, form: TraceFormat, merge_gaps: float) -> Iterator[Pattern]:
    devices = sessions = 0
    for name, length, spans in _DEVICES[form](content, suffix):
        sessions += len(spans)
        if sessions > MOST_SESSIONS:
            raise _Unreadable(f"it holds more than {MOST_SESSIONS} sessions: leave out some devices")
        if not (math.isfinite(length) and length > 0):
            raise _Unreadable(f"device {name} has a trace of {length} s: a length is a number of seconds above 0")
        devices += 1
        yield pattern_of(spans, length, merge_gaps)
    if not devices:
        raise _Unreadable("it holds no device")


def pattern_of(sessions: Iterable[Session], length: float, merge_gaps: float = 0.0) -> Pattern:
    """What a device repeats that is online in these sessions (s) of a trace of this length (s), gaps shorter than `merge_gaps` left out;
    what is outside the trace is cut off, and where sessions overlap they are one."""
    spans: list[Session] = []
    for start, end in sorted((max(0.0, start), min(length, end)) for start, end in sessions):
        if end <= start:
            continue
        if spans and (start <= spans[-1][1] or start - spans[-1][1] < merge_gaps):
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    if spans and 0 < spans[0][0] + length - spans[-1][1] < merge_gaps:
        # the gap around the end of the trace
        spans = [(0.0, spans[0][1]), *spans[1:-1], (spans[-1][0], length)] if len(spans) > 1 else [(0.0, length)]
    changes = [moment for span in spans for moment in span if 0.0 < moment < length]
    online = bool(spans) and spans[0][0] == 0.0
    if len(changes) % 2:
        changes.append(length)
    return Pattern(online, length, np.array(changes, dtype=np.float64))


_Observed = tuple[str, float, Sequence[Session]]
"""The name of a device, the length of its trace (s) and its sessions (s)."""


def _of_fedtiny(content: bytes, suffix: str) -> Iterator[_Observed]:
    if suffix == ".csv":
        yield from _of_csv(content)
        return
    document = _mapping(_json(content), "the file")
    length = _seconds([document.get("length")], "length")[0]
    for place, device in enumerate(_list(document.get("devices"), "devices")):
        pairs = _list(_mapping(device, f"device {place}").get("online"), f"online of device {place}")
        spans = [_seconds(_list(pair, f"a session of device {place}"), f"device {place}") for pair in pairs]
        yield str(place), length, [_pair(span, f"device {place}") for span in spans]


def _of_csv(content: bytes) -> Iterator[_Observed]:
    rows = csv.reader(io.StringIO(_text(content)))
    if [name.strip() for name in next(rows, [])] != ["device", "start", "end"]:
        raise _Unreadable("the first line of a .csv is device,start,end")
    sessions: dict[str, list[Session]] = {}
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != 3:
            raise _Unreadable(f"line {number} has {len(row)} columns, and not device,start,end")
        sessions.setdefault(row[0], []).append(_cells(row[1:], number))
    length = max((end for spans in sessions.values() for _, end in spans), default=0.0)
    yield from ((name, length, spans) for name, spans in sessions.items())


def _cells(cells: Sequence[str], number: int) -> Session:
    try:
        values = [float(cell) for cell in cells]
    except ValueError:
        values = [math.nan]
    return _pair(_seconds(values, f"line {number}"), f"line {number}")


def _of_fedscale(content: bytes, suffix: str) -> Iterator[_Observed]:
    document = _mapping(_json(content) if suffix == ".json" else plain_values(content), "the file")
    for name, device in document.items():
        known = _mapping(device, f"client {name}")
        starts, ends = (_seconds(_list(known.get(key), f"{key} of client {name}"), f"client {name}") for key in ("active", "inactive"))
        if len(starts) != len(ends):
            raise _Unreadable(f"client {name} becomes active {len(starts)} times and inactive {len(ends)} times")
        yield str(name), _seconds([known.get("finish_time")], f"finish_time of client {name}")[0], list(zip(starts, ends, strict=True))


def _of_flash(content: bytes, suffix: str) -> Iterator[_Observed]:
    for name, user in _mapping(_json(content), "the file").items():
        messages = _mapping(user, f"user {name}").get("messages")
        if not isinstance(messages, str):
            raise _Unreadable(f"user {name} has no text of messages")
        events = sorted(_events(messages, str(name)), key=lambda event: event[0])
        if events and events[-1][0] > events[0][0]:
            yield str(name), events[-1][0] - events[0][0], _ready(events)


def _events(messages: str, name: str) -> Iterator[tuple[float, str]]:
    for line in messages.splitlines():
        if not line.strip():
            continue
        moment, _, event = line.strip().partition("\t")
        found = re.fullmatch(_MOMENT, moment.strip())
        try:
            yield float(np.datetime64(f"{found[1]}T{found[2]}" if found else "none", "s").astype(np.int64)), event.strip().lower()
        except ValueError:
            raise _Unreadable(f"user {name} has a message without a time such as 2020-01-31 08:00:00: {line.strip()[:60]!r}") from None


def _ready(events: Sequence[tuple[float, str]]) -> list[Session]:
    """When a phone was idle, charging and on Wi-Fi, in seconds from its first event."""
    state = dict.fromkeys(("charging", "dark", "locked", "wifi"), False)
    sessions: list[Session] = []
    begin, since = events[0][0], None
    for moment, event in events:
        if event in _EVENTS:
            key, value = _EVENTS[event]
            state[key] = value
        ready = state["charging"] and state["wifi"] and (state["dark"] or state["locked"])
        if ready and since is None:
            since = moment - begin
        elif not ready and since is not None:
            sessions.append((since, moment - begin))
            since = None
    return sessions if since is None else [*sessions, (since, events[-1][0] - begin)]


_DEVICES: Final = {"fedtiny": _of_fedtiny, "fedscale": _of_fedscale, "flash": _of_flash}


def _json(content: bytes) -> Any:
    try:
        return json.loads(_text(content))
    except (json.JSONDecodeError, RecursionError) as error:
        raise _Unreadable(f"it is no JSON: {error}") from error


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unreadable(f"it is no text in UTF-8: {error}") from error


def _mapping(value: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(value, dict):
        raise _Unreadable(f"{name} is no dictionary")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise _Unreadable(f"{name} is no list")
    return value


def _seconds(values: Sequence[Any], name: str) -> list[float]:
    try:
        found = [float(value) for value in values if type(value) in (int, float)]
    except OverflowError:
        found = []
    if len(found) != len(values) or not all(map(math.isfinite, found)):
        raise _Unreadable(f"{name} holds something that is no number of seconds")
    return found


def _pair(values: Sequence[float], name: str) -> Session:
    if len(values) != 2:
        raise _Unreadable(f"{name} has a session of {len(values)} numbers, and not of its start and its end")
    return values[0], values[1]
