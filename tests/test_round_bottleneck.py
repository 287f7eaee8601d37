"""What kept the critical device of a round: by hand, where the answer is known."""

import numpy as np

import fedtiny
from fedtiny.round_bottleneck import round_causes, shared_out
from fedtiny.simulation.trace import Activity, Trace
from fedtiny.timing_run import run_timing

SCENARIO = """
name: bottleneck
learning: none
model: linear
data: {kind: synthetic, examples: 40, test_examples: 4}
training: {batch_size: 5, local_steps: 2}
strategy: fedavg
fleet:
  - {count: 1, device: {kind: custom, memory: 1 GB, step_time: 1 s}, network: {kind: custom, latency: 250 ms}}
  - {count: 1, device: {kind: custom, memory: 1 GB, step_time: 2 s}, network: {kind: custom, latency: 500 ms}}
stop: {rounds: 6}
"""


def causes(tmp_path, **overrides):
    file = tmp_path / "bottleneck.yaml"
    file.write_text(SCENARIO)
    run = run_timing(fedtiny.load_scenario(file, overrides))
    return round_causes(run, run.trace.columns())


def seconds(compute=0.0, latency=0.0, stall=0.0):
    return {"compute": compute, "upload": 0.0, "download": 0.0, "latency": latency, "stall": stall}


def test_the_slowest_device_is_critical_and_its_span_isshared_out(tmp_path):
    assert causes(tmp_path) == [(1, seconds(compute=4.0, latency=1.0))] * 6


def test_a_timeout_is_a_cause_of_its_own(tmp_path):
    assert causes(tmp_path, **{"strategy.timeout": "3 s"}) == [(None, {"timeout": 3.0})] * 6


def traced(*activities):
    trace = Trace()
    for activity in activities:
        trace.record(activity)
    return trace.columns()


def test_what_is_neither_work_nor_transfer_nor_flight_is_a_stall():
    columns = traced(Activity(3, 1, "train", 1.0, 2.0, macs=1.0), Activity(3, 1, "upload", 2.0, 3.0, arrival=3.5, bytes=8))
    shares = shared_out(columns, np.arange(2), (0.0, 5.0), round_trip=1.0)
    assert shares == {"compute": 1.0, "upload": 1.0, "download": 0.0, "latency": 0.5, "stall": 2.5}


def test_transfers_behind_computing_cost_nothing():
    columns = traced(
        Activity(3, 1, "upload", 1.0, 3.0, arrival=9.0, bytes=8),
        Activity(3, 2, "train", 1.5, 4.0, macs=1.0),
        Activity(3, 3, "download", 2.0, 4.5, arrival=4.75, bytes=8),
    )
    shares = shared_out(columns, np.arange(3), (1.0, 5.0), round_trip=1.0)
    assert shares == {"compute": 2.5, "upload": 0.5, "download": 0.5, "latency": 0.5, "stall": 0.0}


def test_a_lost_message_counts_as_latency_until_it_is_sent_again(tmp_path):
    found = causes(tmp_path, **{"network.loss": 0.4, "stop.rounds": 20})
    assert max(shares["latency"] for _, shares in found) >= 2.0
    assert all(shares["stall"] < 1e-9 for _, shares in found)
