"""The plan of a strategy that does not wait has the activities of its run, exactly."""

import pytest

import fedtiny
from fedtiny.errors import RoundError

SHARED = ("round", "virtual_time", "participants", "failures", "bytes_up", "bytes_down", "energy")

FLEET = """
name: unequal
model: linear
data: {kind: synthetic, examples: 67, test_examples: 4, classes: 3}
training: {batch_size: 5, local_steps: 4}
strategy: fedasync
fleet:
  - count: 3
    device: {kind: custom, memory: 1 GB, step_time: 100 ms, power: {idle: 1 W, active: 3 W}}
    network: {kind: custom, latency: 70 ms, downlink: 200 kbit/s, uplink: 50 kbit/s}
  - count: 3
    device: {kind: custom, memory: 1 GB, step_time: 170 ms, runtime: serial, power: {idle: 100 mW, active: 200 mW}}
    network: {kind: custom, latency: 300 ms, jitter: 100 ms, loss: 0.2, uplink: 30 kbit/s, energy_up: 2 nJ/B}
  - {count: 2, device: {kind: custom, memory: 1 GB, step_time: 150 ms, power: {idle: 1 W, active: 3 W}}, network: lte_driving}
stop: {rounds: 25}
"""

STRATEGIES = [
    {"kind": "fedasync"},
    {"kind": "fedasync", "max_in_flight": 3},
    {"kind": "fedasync", "most_staleness": 3, "fraction_train": 0.8},
    {"kind": "fedasync", "message_lifetime": "1500 ms"},
    {"kind": "fedasync", "proximal_mu": 0.1},
    {"kind": "fedasync", "timeout": "3 s"},
    {"kind": "fedbuff", "buffer": 3},
    {"kind": "fedbuff", "buffer": 8, "max_in_flight": 4},
    {"kind": "fedbuff", "buffer": 5, "timeout": "1500 ms", "most_staleness": 1},
    {"kind": "fedbuff", "buffer": 4, "message_lifetime": "1500 ms"},
    {"kind": "semi_synchronous", "over_commitment": 1.0},
    {"kind": "semi_synchronous", "fraction_train": 0.5, "over_commitment": 1.6},
    {"kind": "semi_synchronous", "fraction_train": 0.5, "over_commitment": 1.6, "late": "weight"},
    {"kind": "semi_synchronous", "over_commitment": 1.0, "late": "weight", "timeout": "1300 ms"},
    {"kind": "semi_synchronous", "over_commitment": 1.0, "late": "weight", "timeout": "1300 ms", "most_staleness": 1},
    {"kind": "semi_synchronous", "fraction_train": 0.4, "timeout": "1500 ms", "message_lifetime": "1700 ms"},
]


def scenario(tmp_path, **overrides):
    file = tmp_path / "unequal.yaml"
    file.write_text(FLEET)
    return fedtiny.load_scenario(file, overrides)


def outcome(loaded):
    try:
        return fedtiny.run(loaded)
    except RoundError as error:
        return str(error)


def assert_timed_alike(loaded):
    learned, timed = outcome(loaded), outcome(loaded.model_copy(update={"learning": "none"}))
    assert not isinstance(learned, str), learned
    assert timed.activities.equals(learned.activities)
    assert timed.rounds.select(SHARED).equals(learned.rounds.select(SHARED))
    assert timed.devices.drop_columns("label_examples").equals(learned.devices.drop_columns("label_examples"))
    return learned


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_activities_are_those_of_the_run_with_learning(tmp_path, strategy):
    learned = assert_timed_alike(scenario(tmp_path, strategy=strategy))
    assert learned.rounds.num_rows == 26


@pytest.mark.parametrize("strategy", [{"kind": "fedasync"}, {"kind": "fedbuff", "buffer": 3}, {"kind": "semi_synchronous"}], ids=str)
def test_a_run_is_cut_at_the_end_of_its_virtual_time_as_its_plan_is(tmp_path, strategy):
    learned = assert_timed_alike(scenario(tmp_path, strategy=strategy, stop={"virtual_time": "9 s"}))
    assert "cancelled" in learned.activities["outcome"].to_pylist()


@pytest.mark.parametrize("strategy", [{"kind": "fedasync"}, {"kind": "fedbuff", "buffer": 3}, {"kind": "semi_synchronous"}], ids=str)
def test_devices_that_drop_out_block_nobody(tmp_path, strategy):
    file = tmp_path / "unequal.yaml"
    file.write_text(FLEET.replace("- count: 3", "- dropout: 0.4\n    count: 3"))
    loaded = fedtiny.load_scenario(file, {"strategy": {**strategy, "message_lifetime": "4 s"}})
    learned = assert_timed_alike(loaded)
    assert learned.rounds.num_rows == 26
    assert sum(learned.rounds["failures"].to_pylist()) > 0
    assert "dropped" in learned.activities["outcome"].to_pylist()


@pytest.mark.parametrize("strategy", [{"kind": "fedasync"}, {"kind": "fedbuff", "buffer": 3}, {"kind": "semi_synchronous"}], ids=str)
def test_where_nobody_ever_answers_the_run_ends_and_says_so(tmp_path, strategy):
    loaded = scenario(tmp_path, strategy={**strategy, "message_lifetime": "100 ms"})
    learned, timed = outcome(loaded), outcome(loaded.model_copy(update={"learning": "none"}))
    assert learned == timed
    assert learned.startswith("round 1: ")
    assert "strategy.message_lifetime" in learned


@pytest.mark.parametrize("strategy", [{"kind": "fedasync"}, {"kind": "fedbuff", "buffer": 3}, {"kind": "semi_synchronous"}], ids=str)
@pytest.mark.parametrize(
    "extra", [{"pace": "by_speed"}, {"optimizer": {"kind": "sgd", "schedule": {"kind": "inverse_square_root"}}}], ids=str
)
def test_paces_and_schedules_of_the_rate_are_foreseen(tmp_path, strategy, extra):
    assert_timed_alike(scenario(tmp_path, strategy=strategy, **{f"training.{key}": value for key, value in extra.items()}))
