"""What counted work takes on a device."""

import pytest

from fedtiny.costs.counted import counted_seconds
from fedtiny.fleet.catalog import load_device
from fedtiny.fleet.device import BackwardFactors, DeviceProfile, Rates
from fedtiny.models.counted_work import CountedWork

RATES = Rates.model_validate(
    {"dense_gemm": "4e6 MAC/s", "dense_convolution": "2e6 MAC/s", "depthwise": "1e6 MAC/s", "recurrent": "1e6 MAC/s"}
)


def device(**more):
    return DeviceProfile(name="mine", device_class="custom", memory="1 GB", **{"rates": RATES, **more})


def test_multiply_accumulates_take_their_class_of_operators_time():
    work = CountedWork({"dense_gemm": 4e6, "depthwise": 2e6}, {"dense_convolution": 2e6}, operations=3)
    assert counted_seconds(work, device()) == pytest.approx(1 + 2 + 1)


def test_backward_passes_are_slower_where_the_device_says_so_and_operations_cost_their_start():
    work = CountedWork({"dense_gemm": 4e6}, {"dense_gemm": 4e6}, operations=7)
    slow = device(backward_factor=BackwardFactors(dense_gemm=3.0), dispatch_overhead="500 ms")
    assert counted_seconds(work, slow) == pytest.approx(1 + 3 + 3.5)


def test_every_group_of_a_convolution_costs_its_start():
    work = CountedWork({"depthwise": 1e6}, operations=1, groups=20)
    assert counted_seconds(work, device(group_overhead="100 ms")) == pytest.approx(1 + 2)


def test_classes_that_a_device_does_not_state_run_as_their_kin():
    assert counted_seconds(CountedWork({"attention": 4e6, "pointwise_convolution": 2e6}), device()) == pytest.approx(2.0)


def test_steps_take_a_step_time():
    timed = device(rates=None, step_time="250 ms")
    assert counted_seconds(CountedWork({"dense_gemm": 1.0}, steps=8), timed) == 2.0
    assert counted_seconds(CountedWork({"dense_gemm": 1.0}), timed) is None


def test_nothing_counted_says_nothing():
    assert counted_seconds(CountedWork(), device()) is None
    assert counted_seconds(CountedWork(steps=3), load_device("raspberry_pi_4")) is None
