"""What a run records takes memory by the row of its trace and little more: ten times the activities do not take ten times the rest."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

import fedtiny
from fedtiny.fleet.fleet import FleetGroup, traits
from fedtiny.randomness import Streams
from fedtiny.recorded_activities import RecordedActivities, recorded_activities
from fedtiny.results.record import ACTIVITIES, RunResult
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.absences import nobody_away
from fedtiny.simulation.critical_path import critical_path
from fedtiny.simulation.stall_causes import stall_seconds
from fedtiny.simulation.trace import DONE, DOWNLOAD, TRAIN, UPLOAD, Trace
from fedtiny.simulation.used_work import contributions, waste

DEVICES = 1_000
FLEET = traits([FleetGroup(count=DEVICES, device="raspberry_pi_4", network="wifi_campus")], None, None, Streams(0))
BYTES_A_ROW = 40
"""A row of the table takes about 90; a wait and its place in the order take 29, of which there is one for every row of the trace."""


def rounds(count: int) -> tuple[Trace, dict[int, float], float]:
    """A trace of so many rounds of 10 s, each of a tenth of the devices, the times of their versions (s), and the end (s)."""
    trace = Trace()
    for number in range(1, count + 1):
        start = 10.0 * (number - 1)
        asked = [(7 * place + number) % DEVICES for place in range(DEVICES // 10)]
        for kind, begins, ends in ((DOWNLOAD, 0.0, 1.0), (TRAIN, 2.0, 6.0), (UPLOAD, 6.0, 9.0)):
            for device in asked:
                if kind == DOWNLOAD:
                    trace.asked.append((device, number, start))
                row = trace.begin(device, number, kind, start + begins, start + ends, 8.0, 8 if kind == UPLOAD else 0)
                trace.finish(row, DONE)
                trace.arrive(row, start + ends + 1.0 if kind != TRAIN else np.nan)
    return trace, {number: 10.0 * number for number in range(count + 1)}, 10.0 * count


def made(count: int) -> tuple[int, RecordedActivities]:
    """Most bytes beyond the trace while its activities are found, attributed and taken slice by slice; and the activities."""
    trace, versions, end = rounds(count)
    times = np.array(list(versions.values()))
    tracemalloc.start()
    activities = recorded_activities(FLEET, trace, versions, np.arange(DEVICES), end, nobody_away)
    used = contributions(trace, times, carries_late=False)
    waste(trace, used, count)
    critical_path(trace, times)
    stall_seconds(trace, used, times, np.arange(DEVICES), activities.stalls())
    for _ in activities.to_batches(1 << 14):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, activities


@pytest.fixture(scope="module")
def few() -> tuple[int, RecordedActivities]:
    return made(100)


@pytest.fixture(scope="module")
def many() -> tuple[int, RecordedActivities]:
    return made(1_000)


def test_ten_times_the_rounds_take_less_memory_than_a_table_of_the_added_activities_would(
    few: tuple[int, RecordedActivities], many: tuple[int, RecordedActivities]
) -> None:
    added = many[1].num_rows - few[1].num_rows
    assert added > 400_000
    assert many[0] - few[0] < BYTES_A_ROW * added


def test_activities_become_a_table_only_when_somebody_reads_them(few: tuple[int, RecordedActivities]) -> None:
    empty = ACTIVITIES.empty_table()
    result = RunResult("run", "done", "", rounds=empty, devices=empty, model={}, summary={}, activities=few[1])
    assert result.all_activities() is few[1]
    table = result.activities
    assert (table.num_rows, table.schema) == (few[1].num_rows, ACTIVITIES)
    assert result.all_activities() is result.activities is table


def test_a_run_makes_no_table_of_its_activities() -> None:
    network = {"kind": "custom", "latency": "50 ms"}
    device = {"kind": "custom", "memory": "1 GB", "step_time": "10 ms"}
    scenario = {
        "name": "short",
        "learning": "none",
        "model": {"kind": "linear"},
        "data": {"kind": "synthetic", "examples": 12, "image_size": 4, "test_examples": 10},
        "strategy": {"kind": "fedavg"},
        "fleet": [{"count": 2, "device": device, "network": network}],
        "stop": {"rounds": 2},
    }
    result = fedtiny.run(Scenario.model_validate(scenario))
    assert not isinstance(result.all_activities(), pa.Table)
    assert result.all_activities().num_rows == result.activities.num_rows > 0


def test_the_rows_are_in_order_of_start_device_and_kind_wherever_slices_end(few: tuple[int, RecordedActivities]) -> None:
    rows = [
        row
        for batch in few[1].to_batches(1_000)
        for row in zip(*(batch[name].to_pylist() for name in ("start", "device", "kind")), strict=True)
    ]
    assert rows == sorted(rows)
