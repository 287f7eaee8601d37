"""A population is decided by classes, as each of its devices would be; a run lists whom a message reached, and a plan is the run."""

import json

import numpy as np
import pytest

import fedtiny
from fedtiny.blueprint import blueprint
from fedtiny.device_classes import timed_fleet
from fedtiny.errors import InfeasibleError
from fedtiny.participation import assigned
from fedtiny.plan import plan
from fedtiny.preparation import check, prepare
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis, split_sweep
from fedtiny.sweeps.cell import Job, run_cell
from fedtiny.sweeps.shared_training import learning_group

SHARED = ("round", "virtual_time", "participants", "failures", "bytes_up", "bytes_down", "energy")
SCENARIO = """
name: phones
seed: 5
model: small_cnn
data:
  {kind: synthetic, examples: 90, test_examples: 4, classes: 3, partition: {kind: with_replacement, examples: 12, sigma: 0.7, alpha: 0.5}}
training: {batch_size: 5, local_steps: 3}
strategy: {kind: fedavg, fraction_train: 0.05}
on_out_of_memory: exclude
fleet:
  kind: population
  count: 300
  members:
    - share: 2
      device: &phone
        kind: custom
        memory: 1 GB
        rates: {dense_gemm: 2 MMAC/s, dense_convolution: 1 MMAC/s, depthwise: 1 MMAC/s, recurrent: 1 MMAC/s}
        power: {idle: 1 W, active: 3 W}
      network: {kind: custom, latency: 20 ms, uplink: 1 Mbit/s, uplink_sigma: 0.5}
      speed_sigma: 0.6
      memory: [{budget: 10 kB, share: 1}, {budget: 30 kB, share: 1}, {budget: 1 MB, share: 2}]
    - share: 1
      device: *phone
      network: {kind: custom, latency: 200 ms, jitter: 50 ms, loss: 0.1}
stop: {rounds: 3}
"""


def loaded(tmp_path, **overrides):
    file = tmp_path / "phones.yaml"
    file.write_text(SCENARIO)
    return fedtiny.load_scenario(file, overrides)


def one_by_one(scenario, fleet):
    """Every device of a population decided on its own."""
    return assigned(fleet.population.plans, [fleet.population.batches(number) for number in range(scenario.devices)])


# --- as each device would be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"training.batch_size": "all"},
        {"on_out_of_memory": "downgrade"},
        {"update": "automatic"},
        {"update": {"kind": "automatic", "round_time": "600 ms"}},
        {"update": {"kind": "automatic", "candidates": ["full", "bias", "last"], "round_time": "200 ms"}, "training.batch_size": "all"},
        {"device.memory": "1 MB"},
    ],
)
def test_classes_say_of_each_device_what_it_would_be_found_to_train(tmp_path, overrides):
    scenario = loaded(tmp_path, learning="none", **overrides)
    fleet = timed_fleet(scenario)
    alone = one_by_one(scenario, fleet)
    found = [fleet.participant(number) for number in range(scenario.devices)]
    assert [(one.fits, one.plan, one.reason, one.ledger.items) for one in found] == [
        (one.fits, one.plan, one.reason, one.ledger.items) for one in alone
    ]
    assert sum(item.count for item in fleet.classes) == scenario.devices
    assert list(fleet.numbers) == [one.traits.number for one in alone if one.fits]
    assert [fleet.classes[fleet.place_of(one.traits.number)].one.plan for one in alone] == [one.plan for one in alone]
    assert fleet.places_of(np.arange(scenario.devices)).tolist() == [fleet.place_of(number) for number in range(scenario.devices)]


def test_budgets_that_are_drawn_decide_who_is_left_out(tmp_path):
    fleet = timed_fleet(loaded(tmp_path, learning="none"))
    memories = {number: fleet.traits(number).device.memory for number in range(300)}
    assert set(memories.values()) == {10e3, 30e3, 1e6, 1e9}
    needed = fleet.classes[0].one.ledger.total_bytes
    assert 10e3 < needed <= 30e3
    assert set(fleet.numbers) == {number for number, memory in memories.items() if memory >= needed}


def test_a_population_that_must_fit_as_a_whole_is_refused(tmp_path):
    with pytest.raises(InfeasibleError, match=r"training needs .* but custom offers 10 kB"):
        prepare(loaded(tmp_path, on_out_of_memory="fail"))


def test_check_counts_a_population_by_class(tmp_path):
    found = check(loaded(tmp_path))
    counts = [int(line.split(" x ")[0]) for line in found.trains]
    assert sum(counts) == 300
    assert any("left out" in line for line in found.trains)
    assert any("training does not fit" in warning for warning in found.warnings)


# --- whatever the count -----------------------------------------------------------------------------------------


def test_a_device_has_the_same_examples_however_many_there_are(tmp_path):
    few, many = (prepare(loaded(tmp_path, **{"fleet.count": count})).participants for count in (40, 5_000))
    for number in range(40):
        assert few[number].traits == many[number].traits
        assert np.array_equal(few[number].batches.indices, many[number].batches.indices)
        assert np.array_equal(few[number].batches.batch(7), many[number].batches.batch(7))


def test_examples_of_two_devices_and_of_two_seeds_differ(tmp_path):
    one, other = (prepare(loaded(tmp_path, seed=seed)).participants for seed in (0, 1))
    assert not np.array_equal(one[0].batches.indices, one[1].batches.indices)
    assert not np.array_equal(one[0].batches.indices, other[0].batches.indices)


def test_what_pre_training_has_seen_is_drawn_by_nobody(tmp_path):
    pretrained = {"steps": 1, "share": 0.5}
    world = prepare(loaded(tmp_path, **{"model.pretrained": pretrained}))
    drawn = np.unique(np.concatenate([one.batches.indices for one in world.participants[:200]]))
    assert len(drawn) <= 45


# --- a plan is the run ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"training.batch_size": "all"},
        {"training.pace": "by_speed"},
        {"training.pace": "by_speed_normalized", "strategy": {"kind": "dga", "delay": 2, "fraction_train": 0.05}},
        {"fleet.dropout": 0.3, "strategy.timeout": "2 s"},
        {"update": {"kind": "automatic", "round_time": "600 ms"}},
        {"strategy": {"kind": "fedbuff", "buffer": 4, "max_in_flight": 8}, "stop.rounds": 8},
        {"strategy": {"kind": "semi_synchronous", "fraction_train": 0.05, "timeout": "1 s"}, "stop.rounds": 6},
        {"fleet.availability": {"kind": "markov", "mean_on": "2 s", "mean_off": "1 s"}},
        {"training.precision": "float64", "stop": {"virtual_time": "3 s"}},
    ],
)
def test_a_run_without_learning_is_the_run_with_it(tmp_path, overrides):
    scenario = loaded(tmp_path, **overrides)
    learned, timed = fedtiny.run(scenario), fedtiny.run(scenario.model_copy(update={"learning": "none"}))
    assert timed.activities.equals(learned.activities)
    assert timed.rounds.select(SHARED).equals(learned.rounds.select(SHARED))
    assert timed.devices.drop_columns("label_examples").equals(learned.devices.drop_columns("label_examples"))
    assert timed.population == learned.population


@pytest.mark.parametrize("overrides", [{}, {"update": "bias"}, {"fleet.dropout": 0.3, "strategy.timeout": "2 s"}])
def test_a_plan_says_what_the_run_takes(tmp_path, overrides):
    scenario = loaded(tmp_path, **overrides)
    planned, learned = plan(scenario.model_copy(update={"learning": "none"})).document, fedtiny.run(scenario).summary
    assert planned["energy"] == pytest.approx(learned["energy"], rel=1e-12)
    assert [planned[key] for key in ("virtual_time", "bytes_up", "bytes_down")] == [
        learned[key] for key in ("virtual_time", "bytes_up", "bytes_down")
    ]
    assert planned["devices"] == sum(row["devices"] for row in planned["classes"]) == 300


def test_the_same_scenario_gives_the_same_bytes(tmp_path):
    first, second = (fedtiny.run(loaded(tmp_path)) for _ in range(2))
    assert first.activities.equals(second.activities)
    assert first.devices.equals(second.devices)
    assert all(np.array_equal(first.model[name], second.model[name]) for name in first.model)


# --- what a run lists -------------------------------------------------------------------------------------------


def test_only_devices_that_a_message_reached_are_listed_and_counted_by_class(tmp_path):
    result = fedtiny.run(loaded(tmp_path))
    listed = set(result.devices["device"].to_pylist())
    assert listed == set(result.activities["device"].to_pylist())
    assert len(listed) < 60
    assert [item["devices"] for item in result.population] == np.bincount(timed_fleet(loaded(tmp_path)).blueprint.fleet.member_of).tolist()
    assert sum(item["reached"] for item in result.population) == len(listed)
    assert 0 < result.population[0]["taking_part"] < result.population[0]["devices"]
    assert result.population[1]["taking_part"] == result.population[1]["devices"]


def test_energy_is_that_of_the_listed_devices(tmp_path):
    result = fedtiny.run(loaded(tmp_path))
    assert result.summary["energy"] == pytest.approx(sum(result.devices["energy"].to_pylist()), rel=1e-12)
    spans = result.activities.filter(np.isin(result.activities["kind"].to_numpy(zero_copy_only=False), ["train", "stall", "idle"]))
    seconds = np.sum(spans["end"].to_numpy() - spans["start"].to_numpy())
    assert seconds == pytest.approx(result.devices.num_rows * result.summary["virtual_time"], rel=1e-9)


def test_the_counts_are_in_the_folder_and_the_report(tmp_path):
    result = fedtiny.run(loaded(tmp_path))
    folder = fedtiny.write_run(result, tmp_path / "run")
    fedtiny.write_report([folder], folder)
    assert json.loads((folder / "run.json").read_text())["population"] == result.population
    assert fedtiny.read_run(folder).population == result.population
    first = result.population[0]
    assert f"{first['reached']} of {first['devices']}" in (folder / "report.html").read_text()


def test_a_population_is_swept_over(tmp_path):
    loaded(tmp_path)
    base, axes = split_sweep(read_tree(tmp_path / "phones.yaml"))
    cells = cross(base, tmp_path, [*axes, parse_axis("fleet.count=100,200")], seeds=1).cells
    groups = [learning_group(cell.scenario) for cell in cells]
    assert [cell.scenario.devices for cell in cells] == [100, 200]
    assert groups[0] != groups[1]
    assert run_cell(Job(cells[0].id, cells[0].scenario, tmp_path / "cell")).status == "done"


def test_a_larger_population_needs_no_longer_blueprint(tmp_path):
    """Nothing but a few arrays is made of a million devices."""
    fleet = timed_fleet(loaded(tmp_path, learning="none", **{"fleet.count": 1_000_000}))
    assert len(fleet.classes) == 4
    assert sum(item.count for item in fleet.classes) == 1_000_000
    assert blueprint(loaded(tmp_path)).fleet[7] == fleet.traits(7)
