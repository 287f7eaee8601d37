"""What is logged of a run: the numbers of a version of the global model, the settings of its scenario, its summary."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from fedtiny.recording import Version
from fedtiny.scenario.schema import Scenario

LIVE = ("accuracy", "loss", "participants", "failures", "bytes_up", "bytes_down", "virtual_time")
"""Columns of rounds.parquet that are known as soon as the server holds a version; bytes are cumulative."""
LATER = ("energy",)
"""Columns that are worked out when the run is over."""


@dataclass(frozen=True)
class Measured:
    """Numbers of one version of the global model: its round, when the server held it (virtual s), and its columns."""

    round: int
    virtual_time: float
    values: Mapping[str, float]


def of_version(version: Version) -> Measured | None:
    """What is known of a version while the run goes on; None of one that was not evaluated."""
    if version.quality is None:
        return None
    values = {
        "accuracy": version.quality.accuracy,
        "loss": version.quality.loss,
        "participants": version.participation.participants,
        "failures": version.participation.failures,
        "bytes_up": version.bytes_up,
        "bytes_down": version.bytes_down,
        "virtual_time": version.virtual_time,
    }
    return Measured(version.round, version.virtual_time, {name: float(value) for name, value in values.items() if value is not None})


def of_rounds(rounds: pa.Table, told: set[int]) -> list[Measured]:
    """What is still to be told of a run that is over: of evaluated rounds what is known only now, and all of those that are not in `told`.
    Without learning nothing is evaluated, and all rounds count."""
    learns = rounds["accuracy"].null_count < rounds.num_rows
    found = []
    for row in rounds.select(["round", *LIVE, *LATER]).to_pylist():
        if learns and row["accuracy"] is None:
            continue
        names = LATER if row["round"] in told else (*LIVE, *LATER)
        values = {name: float(row[name]) for name in names if row[name] is not None}
        if values:
            found.append(Measured(row["round"], row["virtual_time"], values))
    return found


def settings(scenario: Scenario) -> dict[str, str | int | float | bool]:
    """A scenario's values by dotted key, such as `fleet.0.device.kind`; what is left open is left out."""
    return dict(_flat(scenario.to_plain(), ""))


def _flat(value: Any, key: str) -> Iterator[tuple[str, str | int | float | bool]]:
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if _is_list_of_parts(value) else None
    if parts is not None:
        for name, part in parts:
            yield from _flat(part, f"{key}.{name}" if key else str(name))
    elif value is not None:
        yield key, value if isinstance(value, (str, int, float, bool)) else str(value)


def _is_list_of_parts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(part, (Mapping, list, tuple)) for part in value)
