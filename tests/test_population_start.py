"""A million enrolled phones cost what those at work cost: what starting takes, with Flower's node ids, sampling and messages."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, pathlib, sys, time
import fedtiny
from fedtiny.federation.grid import VirtualTimeGrid

push, sent = VirtualTimeGrid.push_messages, []

def peak():
    # not ru_maxrss, which begins at that of the process that started this one
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def watched(self, messages):
    ids = push(self, messages)
    sent.append((len(ids), time.process_time(), peak()))
    return ids

VirtualTimeGrid.push_messages = watched
result = fedtiny.run(fedtiny.load_scenario(sys.argv[1]))
print(json.dumps({"sent": sent[0], "devices": result.devices.num_rows, "peak": peak()}))
"""
SCENARIO = """
name: phones
model: linear
data: {kind: digits, partition: {kind: with_replacement, examples: 40, sigma: 1.0, alpha: 0.3}}
training: {batch_size: 16, local_steps: 2}
strategy: {kind: fedavg, fraction_train: 0.001}
fleet: {kind: population, count: 1000000, mix: flash_phones}
on_out_of_memory: exclude
stop: {rounds: 1}
"""
KIBIBYTES_OF_A_GIGABYTE = 976_562


@pytest.mark.slow
def test_a_cohort_of_a_thousand_of_a_million_starts_in_seconds_and_below_a_gigabyte(tmp_path):
    """Seconds of processor time from the start of the process until the first messages are sent; torch and Flower are imported in them."""
    file = tmp_path / "phones.yaml"
    file.write_text(SCENARIO)
    ran = subprocess.run([sys.executable, "-c", SCRIPT, str(file)], capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout)
    messages, seconds, peak = found["sent"]
    assert messages == found["devices"] == 1_000
    assert seconds < 5
    assert max(peak, found["peak"]) < KIBIBYTES_OF_A_GIGABYTE
