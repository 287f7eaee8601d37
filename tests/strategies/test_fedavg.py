"""Federated averaging: what averages must be (A1 to A3 of the reference), who is asked, and who is left out."""

import itertools
import random

import numpy as np
import pytest

from fedtiny.errors import InputError, RoundError
from fedtiny.experiment import run

FEDAVG = {"kind": "fedavg"}
UNIFORM = {"kind": "fedavg", "weighting": "uniform"}
SHARES = {"uniform": np.full(3, 1 / 3), "examples": np.array([7, 12, 9]) / 28}


def device(**changes):
    return {"kind": "custom", "memory": "1 GB", "step_time": "1 s", **changes}


def fleet(*latencies, **changes):
    """One device for each latency, in seconds; each is a group of its own."""
    return [{"count": 1, "device": device(**changes), "network": {"kind": "custom", "latency": f"{latency} s"}} for latency in latencies]


def local_steps(federation, client, weights, steps, rate=0.1):
    for step in steps:
        weights = weights - rate * federation.gradient(client, weights, step)
    return weights


@pytest.mark.parametrize("weighting", SHARES)
def test_a1_with_one_local_step_it_descends_the_mean_gradient(curve, weighting):
    federation = curve()
    found = federation.run({**FEDAVG, "weighting": weighting}, local_steps=1, rounds=8)
    weights = found.weights[0, 0]
    for step in range(1, 9):
        gradients = [federation.gradient(client, weights, step) for client in range(3)]
        weights = weights - 0.1 * SHARES[weighting] @ np.stack(gradients)
    np.testing.assert_allclose(found.final, weights, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighting", SHARES)
def test_every_round_averages_what_the_clients_made_of_the_last_model(curve, weighting):
    federation = curve()
    found = federation.run({**FEDAVG, "weighting": weighting}, local_steps=3, rounds=4)
    weights = found.weights[0, 0]
    for number in range(4):
        models = [local_steps(federation, client, weights, range(3 * number + 1, 3 * number + 4)) for client in range(3)]
        np.testing.assert_allclose(found.weights[3 * number + 3], models, rtol=0, atol=1e-12)
        weights = SHARES[weighting] @ np.stack(models)
    np.testing.assert_allclose(found.final, weights, rtol=0, atol=1e-12)


def test_a2_the_average_of_equal_models_is_that_model(curve):
    federation = curve(sizes=(8,) * 3, identical=True, batch_size="all")
    found = federation.run(FEDAVG, local_steps=2, rounds=1)
    np.testing.assert_allclose(found.final, found.weights[-1, 0], rtol=0, atol=1e-15)


def test_a2_the_average_lies_between_the_models(curve):
    found = curve().run(FEDAVG, local_steps=4, rounds=1)
    models = found.weights[-1]
    assert (models.min(axis=0) <= found.final).all()
    assert (found.final <= models.max(axis=0)).all()
    assert np.ptp(models, axis=0).max() > 1e-3


def test_a2_relabelling_the_clients_changes_nothing(quadratics):
    clients = list(zip([1.0, 2.0, 3.0], [0.0, 3.0, 1.0], [0.0, 1.0, 0.5], strict=True))
    results = [
        quadratics(*zip(*order, strict=True), start=1.0).run(UNIFORM, local_steps=2, rounds=4).final
        for order in itertools.permutations(clients)
    ]
    np.testing.assert_allclose(results, np.broadcast_to(results[0], np.shape(results)), rtol=0, atol=1e-12)


def test_a3_one_client_is_plain_sgd(curve):
    federation = curve(sizes=(10,))
    found = federation.run(FEDAVG, local_steps=3, rounds=4)
    np.testing.assert_allclose(found.final, local_steps(federation, 0, found.weights[0, 0], range(1, 13)), rtol=0, atol=1e-15)


def test_weighting_makes_a_difference(curve):
    by_examples, alike = (curve().run(strategy, local_steps=3, rounds=3).final for strategy in (FEDAVG, UNIFORM))
    assert np.abs(by_examples - alike).max() > 1e-4


def test_who_is_slower_than_the_timeout_is_left_out_of_the_average(curve):
    federation = curve(batch_size="all")
    found = federation.run({**FEDAVG, "timeout": "10 s"}, local_steps=2, rounds=1, fleet=fleet(1, 100, 2))
    start = found.weights[0, 0]
    models = [local_steps(federation, client, start, (1, 2)) for client in (0, 2)]
    np.testing.assert_allclose(found.final, (7 * models[0] + 9 * models[1]) / 16, rtol=0, atol=1e-12)
    last = found.result.rounds.to_pylist()[-1]
    assert (last["virtual_time"], last["participants"], last["failures"]) == (10.0, 2, 1)


def test_without_a_timeout_the_slowest_is_waited_for(curve):
    found = curve(batch_size="all").run(FEDAVG, local_steps=2, rounds=1, fleet=fleet(1, 10000, 2))
    assert found.result.rounds["virtual_time"][-1].as_py() == 20002.0
    assert found.result.rounds["participants"][-1].as_py() == 3


@pytest.mark.parametrize("limit", ["timeout", "message_lifetime"])
def test_a_round_that_nobody_answers_is_an_error(curve, limit):
    with pytest.raises(RoundError, match="round 1: none of the 2 devices that were asked replied"):
        curve().run({**FEDAVG, limit: "1 s", "fraction_train": 0.7}, local_steps=2, rounds=3, latency="1 s")


def test_a_run_that_had_begun_well_ends_with_the_round_that_nobody_answers(curve):
    # under this seed the first message that is lost is one of round 4; it comes a round trip later, after the timeout
    lossy = [{"count": 1, "device": device(), "network": {"kind": "custom", "latency": "1 s", "loss": 0.3}}]
    with pytest.raises(RoundError, match="round 4: none of the 1 devices"):
        curve(sizes=(4,)).run({**FEDAVG, "timeout": "5 s"}, local_steps=2, rounds=9, fleet=lossy, seed=4)


def cohorts(result):
    """round -> the devices that were asked."""
    rows = result.activities.to_pylist()
    found = {}
    for row in rows:
        if row["kind"] == "download":
            found.setdefault(row["round"], set()).add(row["device"])
    return found


@pytest.mark.parametrize("fraction", [0.25, 0.5])
def test_one_seed_asks_the_same_devices_in_fedavg_and_dga(curve, fraction):
    strategies = [FEDAVG, {"kind": "dga", "delay": 0}, {"kind": "dga", "delay": 3}, {"kind": "dga", "delay": 4, "send": "early"}]
    asked = [
        cohorts(curve(sizes=(4,) * 8).run({**strategy, "fraction_train": fraction}, local_steps=2, rounds=6).result)
        for strategy in strategies
    ]
    assert asked[1:] == asked[:1] * 3
    assert [len(devices) for devices in asked[0].values()] == [8 * fraction] * 6
    assert len({frozenset(devices) for devices in asked[0].values()}) > 1


def test_another_seed_asks_other_devices(curve):
    asked = [
        cohorts(curve(sizes=(4,) * 8).run({**FEDAVG, "fraction_train": 0.5}, local_steps=1, rounds=6, seed=seed).result) for seed in (1, 2)
    ]
    assert asked[0] != asked[1]


def test_a_run_leaves_pythons_random_numbers_alone(curve):
    federation = curve()
    random.seed(42)
    before = random.getstate()
    first = federation.run({**FEDAVG, "fraction_train": 0.5}, local_steps=1, rounds=3)
    assert random.getstate() == before
    random.seed(43)
    again = federation.run({**FEDAVG, "fraction_train": 0.5}, local_steps=1, rounds=3)
    assert first.result.activities.equals(again.result.activities)
    np.testing.assert_array_equal(first.final, again.final)


def test_more_devices_than_there_are_cannot_be_asked(curve):
    with pytest.raises(InputError, match="waits for 4 devices, but the fleet has 3"):
        curve().run({**FEDAVG, "min_train_nodes": 4}, local_steps=1, rounds=1)


@pytest.mark.parametrize("strategy", [FEDAVG, {"kind": "dga", "delay": 1}])
def test_more_devices_than_training_fits_cannot_be_asked(curve, strategy):
    federation = curve()
    scenario = federation.load(
        {**strategy, "min_available_nodes": 3},
        local_steps=1,
        rounds=1,
        on_out_of_memory="exclude",
        fleet=fleet(1, 1) + fleet(1, memory="8 B"),
    )
    with pytest.raises(InputError, match="waits for 3 devices, but training fits 2 of 3"):
        run(scenario, allow_code=True)


def test_a_client_keeps_nothing_but_how_far_it_is(curve):
    play = curve().play(FEDAVG, local_steps=3, rounds=4)
    assert {key: dict(value) for key, value in play.state(1).items()} == {"progress": {"steps-done": 12}}
    assert play.world.blueprint.scenario.strategy.client_vectors(3) == 0
