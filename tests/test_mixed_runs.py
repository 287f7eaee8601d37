"""Whole runs of mixed fleets: what is frozen stays, what only some train is everybody's, and clients keep nothing but their context."""

import numpy as np
import pytest

from fedtiny.experiment import run
from fedtiny.federation.flower_internals import server_identity
from fedtiny.flower_app import client_app_of, serve
from fedtiny.preparation import prepare
from fedtiny.scenario.schema import Scenario
from fedtiny.training.cohort_rules import Cohort

SPARSE = {"kind": "sparse", "biases": 2, "weights": {1: 0.5}}
STRATEGIES = [{"kind": "fedavg"}, {"kind": "dga", "delay": 3}, {"kind": "dga", "delay": 4, "send": "early"}]


def device(memory, count):
    return {
        "count": count,
        "device": {"kind": "custom", "memory": memory, "step_time": "1 s"},
        "network": {"kind": "custom", "latency": "1 s"},
    }


def scenario(strategy, *, rounds=4, candidates=(SPARSE, {"kind": "last"}), **changes):
    return Scenario.model_validate(
        {
            "name": "mixed_runs",
            "model": {"kind": "small_cnn"},
            "data": {"kind": "synthetic", "classes": 3, "examples": 60, "test_examples": 20, "image_size": 8},
            "training": {"local_steps": 2, "batch_size": 4, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
            "update": {"kind": "automatic", "candidates": list(candidates)},
            "strategy": strategy,
            "fleet": [device("8.5 kB" if strategy["kind"] == "dga" else "5.2 kB", 2), device("1 MB", 2)],
            "stop": {"rounds": rounds},
            **changes,
        }
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_frozen_is_bit_by_bit_as_it_was_after_a_whole_run(strategy):
    world = prepare(scenario(strategy))
    assert [one.plan.scheme for one in world.participants] == ["last", "last", "sparse", "sparse"]
    first, last = run(scenario(strategy, rounds=0)).model, run(scenario(strategy)).model
    trained = {tensor.name: tensor.positions() for tensor in world.flat.layout.tensors}
    assert {tensor.name: len(tensor.channels or ()) for tensor in world.flat.layout.tensors if tensor.channels is not None} != {}
    for name, before in first.items():
        changed = np.flatnonzero(before.ravel() != last[name].ravel())
        assert set(changed) <= set(trained.get(name, ()))
        assert name not in trained or len(changed) > len(trained[name]) / 2


def test_what_one_device_trains_the_others_hold_frozen():
    seen = {}
    run(scenario({"kind": "fedavg"}), observe=lambda number, step, weights: seen.update({(number, step): weights}))
    head = {"head.weight", "head.bias"}
    for name, before in seen[0, 3].items():
        assert np.array_equal(before, seen[0, 4][name]) == (name not in head)
    # in round 2 a device that trains the head alone starts from the backbone that the others trained in round 1
    assert any(not np.array_equal(seen[0, 2][name], seen[0, 3][name]) for name in seen[0, 2] if name not in head)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_client_that_starts_anew_for_every_message_gives_the_same_model(strategy, plain_grid):
    """As a SuperNode does: each message meets a process that knows the scenario, and the context."""
    training = scenario(strategy).training.model_copy(update={"cohort": Cohort(execution="loop", clients=16)})
    wanted = scenario(strategy).model_copy(update={"training": training})
    world = prepare(wanted)
    versions = []

    def fresh(message, context):
        return client_app_of(prepare(wanted))(message, context)

    grid = plain_grid(world, fresh)
    with server_identity():
        serve(world, grid, versions.append)
    expected = run(wanted).model
    world.flat.load(versions[-1].trainable)
    for name, value in world.flat.network.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), expected[name])


def test_a_run_of_a_mixed_fleet_is_the_same_every_time_and_adding_devices_changes_no_batches():
    first, again = run(scenario({"kind": "dga", "delay": 3})), run(scenario({"kind": "dga", "delay": 3}))
    assert first.activities.equals(again.activities)
    assert all(np.array_equal(first.model[name], again.model[name]) for name in first.model)


def test_work_is_charged_for_what_a_device_trains():
    rates = dict.fromkeys(("dense_gemm", "dense_convolution", "depthwise", "recurrent"), "1 MMAC/s")
    fleet = [device("5.2 kB", 1), device("1 MB", 1)]
    for group in fleet:
        del group["device"]["step_time"]
        group["device"]["rates"] = rates
    result = run(scenario({"kind": "fedavg"}, candidates=[{"kind": "full"}, {"kind": "last"}], fleet=fleet))
    rows = [row for row in result.activities.to_pylist() if row["kind"] == "train" and row["round"] == 1]
    small, large = sorted(rows, key=lambda row: row["device"])
    assert small["macs"] < large["macs"] / 2
    assert small["end"] - small["start"] == pytest.approx(small["macs"] / 1e6)
    assert large["end"] - large["start"] == pytest.approx(large["macs"] / 1e6)


def test_the_labels_that_devices_hold_and_that_versions_get_right_are_recorded():
    result = run(scenario({"kind": "fedavg"}, rounds=2))
    devices = result.devices.to_pylist()
    assert [sum(row["label_examples"]) for row in devices] == [row["examples"] for row in devices]
    labels, rounds = result.labels.to_pylist(), result.rounds.to_pylist()
    assert len(labels) == 3 * 3
    for row in rounds:
        of = [entry for entry in labels if entry["round"] == row["round"]]
        assert sum(entry["examples"] for entry in of) == 20
        assert sum(entry["correct"] for entry in of) / 20 == row["accuracy"]
