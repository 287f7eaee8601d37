"""The profile's file: keys that a scenario takes, comments that say how they were found, written whole."""

import pytest
import yaml

from fedtiny.calibration.calibrate import Calibration, Measured
from fedtiny.calibration.machine import Machine, this_machine
from fedtiny.calibration.probes import NETWORKS, probes
from fedtiny.calibration.profile_text import device_keys, profile_text, require_place, write_whole
from fedtiny.calibration.speed import CLASSES
from fedtiny.calibration.timing import Timing
from fedtiny.errors import FolderError
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.profile_file import read_profile

SPEED = {
    "rates": dict.fromkeys(CLASSES, 12345600000.0),
    "backward_factor": dict.fromkeys(CLASSES, 1.23456),
    "weight_factor": {name: 2.0 for name in CLASSES if name != "attention"},
    "memory_bandwidth": 9.87654e9,
    "dispatch_overhead": 5.4321e-6,
    "convolution_overhead": 1.5e-3,
    "group_overhead": 2.5e-9,
}


@pytest.fixture
def calibration():
    machine = Machine("Some Processor", 4, 8_123_456_789, "what was left", "torch 2", 1)
    (probe, *_) = probes(NETWORKS[:1])
    measured = [Measured(probe, Timing(seconds, 0.1, 12), 1.0) for seconds in (1.0, 0.8, 2.0)]
    return Calibration(machine, SPEED, measured, 100, 70.0)


def test_the_keys_make_a_device(calibration):
    device = CustomDevice.model_validate(device_keys(calibration)).profile()
    assert device.memory == 8_123_000_000
    assert device.rates.depthwise == pytest.approx(12.35e9)
    assert device.backward_factor.depthwise == 1.235
    assert device.weight_factor.attention == 1.0
    assert (device.dispatch_overhead, device.convolution_overhead, device.group_overhead) == pytest.approx((5.432e-6, 1.5e-3, 2.5e-9))
    assert device.dispatched == "operators"


def test_the_file_says_what_was_measured_and_is_a_profile(calibration, tmp_path):
    file = tmp_path / "mine.yaml"
    text = profile_text(calibration, file.name, "2026-01-02")
    for said in (
        "2026-01-02",
        "kind: profile, path: mine.yaml",
        "Some Processor, 4 cores",
        "1 thread",
        "3 of 100",
        "12 times",
        "error of 25%",
    ):
        assert said in text
    assert yaml.safe_load(text) == device_keys(calibration)
    write_whole(file, text)
    assert read_profile(file) == {"name": "mine", **device_keys(calibration)}


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("old")
    write_whole(file, "new")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("mine.yaml", "new")]


def test_places_where_no_file_can_be_written_are_refused_before_measuring(tmp_path):
    with pytest.raises(FolderError, match="is a folder"):
        require_place(tmp_path)
    with pytest.raises(FolderError, match="there is no folder"):
        require_place(tmp_path / "none" / "mine.yaml")


def test_this_machine_has_a_processor_cores_and_memory():
    machine = this_machine(1)
    assert machine.processor
    assert machine.cores >= 1
    assert machine.memory > 100e6
    assert machine.threads == 1
