"""The accounting `autograd` against the operating system: how much a process's resident memory grows while it trains.

A process takes a step with one sample and then one with many; both peaks are read from the kernel (VmHWM, reset in between), and what
counts is by how much the second is higher. That leaves out Python, PyTorch and what is there in any case. glibc is told to give every
block above 64 KiB back at once: left alone, its heap keeps blocks for reuse, which is up to a third more where little is kept, as in
`last`. See docs/memory.md.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedtiny.costs.autograd_memory import autograd_memory
from fedtiny.models.measure import summarize
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.seeded import build_seeded
from fedtiny.models.watch_step import watch_step
from fedtiny.training.optimizer import SGD
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last
from fedtiny.updates.tinytl import Bias

SHAPE = (3, 128, 128)
CLASSES = 10
BATCH = 16
UPDATES = {"full": Full(), "last": Last(), "bias": Bias()}
LEAST_GROWTH = {"full": 300e6, "last": 50e6, "bias": 300e6}

PROGRAM = f"""
import sys
import torch
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.seeded import build_seeded
from fedtiny.training.local import FlatNetwork

flat = FlatNetwork(build_seeded(MobileNetV2(), {SHAPE}, {CLASSES}, lite_residual=False, seed=0), sys.argv[1].split(","))

def peak(batch_size):
    inputs, targets = torch.zeros(batch_size, *{SHAPE}), torch.zeros(batch_size, dtype=torch.int64)
    with open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")
    flat.backward(inputs, targets)
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))

peak(1)
print(peak(1), peak({BATCH}))
"""


@pytest.fixture(scope="module")
def watched():
    network = build_seeded(MobileNetV2(), SHAPE, CLASSES, lite_residual=False, seed=0)
    return summarize(network, "mobilenet_v2", SHAPE, CLASSES), watch_step(network, "mobilenet_v2", SHAPE)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak of a stretch of time")
@pytest.mark.parametrize("scheme", UPDATES)
def test_a_process_grows_as_predicted(scheme, watched):
    summary, step = watched
    plan = UPDATES[scheme].plan(summary)
    few, many = (autograd_memory(summary, step, plan, batch_size, optimizer=SGD()).total_bytes for batch_size in (1, BATCH))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(plan.trainable)], env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    before, after = (int(number) for number in done.stdout.split())
    assert many - few > LEAST_GROWTH[scheme], "the case is large enough to tell"
    assert after - before == pytest.approx(many - few, rel=0.15)
