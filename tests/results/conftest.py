"""A run small enough to reckon by hand: two devices of one class and one of another, three rounds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fedtiny.results.record import ACTIVITIES, DEVICES, LABELS, ROUNDS, RunResult

# device, round, kind, start, end, arrival, bytes, joules
ACTIVITY_ROWS = [
    (0, 1, "download", 0.0, 1.0, 1.5, 100, 0.0),
    (0, 1, "stall", 0.0, 1.5, None, 0, 3.0),
    (0, 1, "train", 1.5, 4.5, None, 0, 12.0),
    (0, 1, "upload", 4.5, 5.5, 6.0, 50, 1.0),
    (1, 1, "train", 0.0, 2.0, None, 0, 8.0),
    (1, 1, "stall", 2.0, 6.0, None, 0, 8.0),
    (2, None, "idle", 0.0, 10.0, None, 0, 5.0),
]


@pytest.fixture
def rounds() -> pa.Table:
    """Four versions; the second was not evaluated."""
    columns = {
        "round": [0, 1, 2, 3],
        "virtual_time": [0.0, 10.0, 20.0, 36.0],
        "accuracy": [0.1, None, 0.6, 0.5],
        "loss": [2.0, None, 1.0, float("nan")],
        "participants": [0, 2, 2, 1],
        "failures": [0, 0, 0, 1],
        "bytes_up": [0, 50, 100, 150],
        "bytes_down": [0, 100, 200, 300],
        "energy": [0.0, 20.0, 40.0, None],
        "bottleneck_device": [None] * 4,
        "bottleneck_cause": [None] * 4,
        "delay": [None, 5, 5, 7],
    }
    return pa.table(columns, schema=ROUNDS)


@pytest.fixture
def activities() -> pa.Table:
    """A little of everything."""
    rows = [
        {
            **dict(zip(("device", "round", "kind", "start", "end", "arrival", "bytes", "energy"), row, strict=True)),
            "payload_bytes": row[6],
            "macs": 0.0,
            "outcome": "done",
        }
        for row in ACTIVITY_ROWS
    ]
    return pa.Table.from_pylist(rows, schema=ACTIVITIES)


@pytest.fixture
def devices() -> pa.Table:
    """Two devices of fleet entry 0 and one of entry 2."""
    columns: dict[str, list[Any]] = {
        "device": [0, 1, 2],
        "group": [0, 0, 2],
        "profile": ["raspberry_pi_4", "raspberry_pi_4", "stm32f746"],
        "network": ["lte_driving"] * 3,
        "scheme": ["full", "full", None],
        "scheme_reason": ["full fits with 5 kB", "full fits with 5 kB", "full needs 5 kB of 1 kB"],
        "examples": [10, 20, 0],
        "label_examples": [[10, 0], [5, 15], [0, 0]],
        "memory_budget": [1_000_000, 1_000_000, 1000],
        "peak_memory": [5000, 5000, None],
        "status": ["trained", "trained", "excluded"],
        "rounds": [3, 3, 0],
        "stall_time": [1.5, 4.0, 0.0],
        "idle_time": [0.0, 0.0, 10.0],
        "energy": [16.0, 16.0, 5.0],
    }
    return pa.table(columns, schema=DEVICES)


@pytest.fixture
def labels() -> pa.Table:
    """Two labels, of which the first is learnt and the second is not."""
    columns = {"round": [0, 0, 2, 2], "label": [0, 1, 0, 1], "examples": [8, 2, 8, 2], "correct": [2, 1, 8, 1]}
    return pa.table(columns, schema=LABELS)


@pytest.fixture
def run(rounds: pa.Table, activities: pa.Table, devices: pa.Table, labels: pa.Table) -> RunResult:
    """A whole result of these tables."""
    return RunResult(
        name="small",
        status="done",
        scenario_yaml="name: small\nseed: 1\n",
        rounds=rounds,
        activities=activities,
        devices=devices,
        model={"weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "scale": np.float64(2.5) * np.ones(())},
        summary={"rounds": 3, "accuracy": np.float64(0.5), "loss": float("nan"), "target_accuracy": None},
        provenance={"seed": 1, "host_seconds": 1.25, "started": "2026-01-01T00:00:00"},
        citations=[{"key": "a", "text": "A.", "bibtex": "@misc{a}", "why": "because"}],
        notes=["A note with an ü."],
        memory=[
            {"profile": "raspberry_pi_4", "group": 0, "scheme": "full", "budget": 9, "total_bytes": 5, "items": {"x": 5}, "fits": True}
        ],
        labels=labels,
    )


@pytest.fixture
def with_host() -> Callable[[RunResult, float], RunResult]:
    """The same run as another host would have written it."""
    return lambda result, seconds: replace(result, provenance={**result.provenance, "host_seconds": seconds, "started": f"at {seconds}"})
