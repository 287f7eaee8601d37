"""Flash wear: blocks that hold the trained weights, once in each round that a device trains in."""

import fedtiny
from fedtiny.costs.flash import blocks_of, endurance_used
from fedtiny.fleet.catalog import device_names, load_device

SCENARIO = """
name: worn
model: linear
data: {kind: synthetic, examples: 40, test_examples: 4, classes: 2, image_size: 8}
strategy: fedavg
learning: none
fleet:
  - count: 2
    device: {kind: custom, memory: 1 GB, step_time: 1 s, flash_erase_block: 200 B, flash_endurance: 1000}
    network: {kind: custom, latency: 1 s}
  - {count: 1, device: {kind: custom, memory: 1 GB, step_time: 3 s}, network: {kind: custom, latency: 1 s}}
stop: {rounds: 3}
"""


def ran(tmp_path, **overrides):
    file = tmp_path / "worn.yaml"
    file.write_text(SCENARIO)
    return fedtiny.run(fedtiny.load_scenario(file, overrides))


def worn(result):
    return [result.devices[name].to_pylist() for name in ("flash_blocks_erased", "flash_endurance_used")]


def test_blocks_are_whole():
    assert [blocks_of(size, 4096.0) for size in (1, 4096, 4097)] == [1, 1, 2]
    assert endurance_used(25, 10_000.0) == 0.0025


def test_each_round_erases_the_blocks_of_the_trained_weights_once(tmp_path):
    result = ran(tmp_path)
    (weights,) = {row["payload_bytes"] for row in result.activities.to_pylist() if row["kind"] == "upload"}
    blocks = -(-weights // 200)
    assert blocks > 1
    assert worn(result) == [[3 * blocks, 3 * blocks, None], [0.003, 0.003, None]]


def test_training_less_wears_less(tmp_path):
    full, last = (worn(ran(tmp_path, model="small_cnn", update=update))[0][0] for update in ("full", "last"))
    assert 0 < last < full


def test_without_an_endurance_blocks_are_known_and_their_share_is_not(tmp_path):
    device = {"kind": "custom", "memory": "1 GB", "step_time": "1 s", "flash_erase_block": "1 MB"}
    assert worn(ran(tmp_path, **{"fleet.0.device": device})) == [[3, 3, None], [None, None, None]]


def test_where_nobody_has_such_a_flash_nothing_is_said(tmp_path):
    device = {"kind": "custom", "memory": "1 GB", "step_time": "1 s"}
    assert "flash_blocks_erased" not in ran(tmp_path, **{"fleet.0.device": device}).devices.column_names


def test_a_device_that_never_trains_erases_nothing(tmp_path):
    assert worn(ran(tmp_path, stop={"rounds": 0})) == [[0, 0, None], [0.0, 0.0, None]]


def test_a_run_is_read_back_with_it_and_its_report_says_so(tmp_path):
    result = ran(tmp_path)
    fedtiny.write_run(result, tmp_path / "run")
    assert fedtiny.read_run(tmp_path / "run").devices.equals(result.devices)
    assert "endurance used" in fedtiny.write_report([tmp_path / "run"], tmp_path / "run").read_text()


def test_flash_is_known_of_microcontrollers_only():
    known = {name for name in device_names() if load_device(name).flash_erase_block is not None}
    assert {"stm32f746", "nrf52840", "rp2040", "esp32_s3"} <= known
    assert {load_device(name).device_class for name in known} == {"microcontroller"}
    assert all(load_device(name).flash_endurance for name in known)
