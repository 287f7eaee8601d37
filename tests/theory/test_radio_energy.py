"""What waking a radio takes: seconds times watts, and unknown where the watts are."""

import pytest

import fedtiny

SCENARIO = """
name: radio
model: linear
data: {kind: synthetic, examples: 40, test_examples: 4, classes: 2}
strategy: fedavg
learning: none
training: {local_steps: 20}
fleet: [{count: 2, device: {kind: custom, memory: 1 GB, step_time: 1 s, power: {idle: 1 W, active: 2 W}}, network: lte_static}]
stop: {rounds: 3}
"""


def promotions(tmp_path, **overrides):
    file = tmp_path / "radio.yaml"
    file.write_text(SCENARIO)
    return [one for one in fedtiny.run(fedtiny.load_scenario(file, overrides)).activities.to_pylist() if one["kind"] == "promotion"]


def test_work_longer_than_ten_seconds_lets_the_radio_sleep_before_every_upload(tmp_path):
    found = promotions(tmp_path)
    # once at first, and before every upload; the next download follows an upload at once
    assert len(found) == 2 * (1 + 3)
    assert [one["end"] - one["start"] for one in found] == pytest.approx([0.72] * 8)
    assert [one["energy"] for one in found] == pytest.approx([0.72 * 1.85] * 8)


def test_work_shorter_than_ten_seconds_does_not(tmp_path):
    assert len(promotions(tmp_path, **{"training.local_steps": 5})) == 2


def test_a_radio_can_be_kept_awake(tmp_path):
    assert promotions(tmp_path, network={"radio_states": False}) == []


def test_without_watts_the_energy_is_unknown(tmp_path):
    found = promotions(tmp_path, network={"radio_states": {"inactivity": "10 s", "promotion": "1 s"}})
    assert [one["energy"] for one in found] == [None] * 8
