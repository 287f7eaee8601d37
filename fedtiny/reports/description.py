"""A scenario in words: its YAML, as the folder keeps it, part by part, and what differs between several."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

from fedtiny.reports.blocks import Table
from fedtiny.reports.quantities import NONE

_PARTS: Final = (
    ("model", "Network"),
    ("data", "Data"),
    ("training", "Local training"),
    ("update", "Update"),
    ("strategy", "Strategy"),
    ("device", "All devices"),
    ("network", "All networks"),
    ("server", "Server"),
    ("accounting", "Memory accounting"),
    ("on_out_of_memory", "Out of memory"),
    ("evaluation", "Evaluation"),
    ("stop", "Stop"),
    ("seed", "Seed"),
)
_NOT_COMPARED: Final = ("name",)


def scenario_of(scenario_yaml: str) -> dict[str, Any]:
    """The scenario as plain dicts and lists; empty where the text is not a mapping."""
    found = yaml.safe_load(scenario_yaml)
    return found if isinstance(found, dict) else {}


def parts_table(scenario_yaml: str) -> Table:
    """The parts that the scenario states, one row each, in words."""
    scenario = scenario_of(scenario_yaml)
    rows = [(title, words(scenario[key])) for key, title in _PARTS if scenario.get(key) not in (None, {}, [])]
    return Table(("part", "what the scenario says"), tuple(rows), text_columns=2)


def words(value: Any) -> str:
    """A part in words: its kind first, then what it says, leaving out what is not set."""
    if isinstance(value, Mapping):
        kind = [str(value["kind"])] if "kind" in value else []
        return ", ".join(kind + [_named(key, item) for key, item in value.items() if key != "kind" and item is not None])
    if isinstance(value, (list, tuple)):
        return ", ".join(words(item) for item in value)
    return _plain(value)


def _named(key: str, item: Any) -> str:
    name = str(key).replace("_", " ")
    return f"{name} ({words(item)})" if isinstance(item, (Mapping, list, tuple)) else f"{name} {_plain(item)}"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NONE if value is None else str(value)


def differences_table(names: Sequence[str], scenarios: Sequence[str]) -> Table | None:
    """The keys in which scenarios differ, a column for each scenario; None if they are the same."""
    flat = [dict(_flattened(scenario_of(text))) for text in scenarios]
    keys = list(dict.fromkeys(key for one in flat for key in one))
    rows = [(key, *(one.get(key, NONE) for one in flat)) for key in keys if len({one.get(key) for one in flat}) > 1]
    return Table(("key", *names), tuple(rows), text_columns=1 + len(names)) if rows else None


def _flattened(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [
            pair
            for key, item in value.items()
            if path or key not in _NOT_COMPARED
            for pair in _flattened(item, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return [pair for place, item in enumerate(value) for pair in _flattened(item, f"{path}[{place}]")]
    return [(path, words(value))]
