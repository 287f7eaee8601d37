"""Devices that train different elements of one network: every identity that holds, element by element, on the real path."""

import numpy as np
import pytest

from fedtiny.strategies.drift import Drift

SIZES = (7, 12, 9, 5)
SHARES = np.array(SIZES) / sum(SIZES)
PARAMETERS, HEAD = 20, 4
"""`Curve` has 20 parameters, of which the last 4 are its head."""
TRAINS = np.array([[False] * (PARAMETERS - HEAD) + [True] * HEAD] * 2 + [[True] * PARAMETERS] * 2)
"""(clients, parameters): the first two devices train the head only."""
MASS = SHARES @ TRAINS
RATE = 0.1


def mixed(memory=("412 B", "600 B", "1 GB", "1 GB"), step_time="1 s", latency="2 s"):
    """A fleet whose first devices fit the head of `Curve` and no more, whatever the strategy keeps on them."""
    devices = [{"kind": "custom", "memory": size, "step_time": step_time} for size in memory]
    fleet = [{"count": 1, "device": device, "network": {"kind": "custom", "latency": latency}} for device in devices]
    return {"fleet": fleet, "update": {"kind": "automatic", "candidates": [{"kind": "full"}, {"kind": "last"}]}}


def federation_of(curve, **options):
    return curve(SIZES, batch_size="all", **options)


def dga(delay, **options):
    return {"kind": "dga", "delay": delay, **options}


def gradients_of(federation, weights):
    """The masked gradients of every client at every step, (steps, clients, parameters)."""
    steps, clients, _ = weights.shape
    return np.stack(
        [
            [federation.gradient(client, weights[step - 1, client], step) * TRAINS[client] for client in range(clients)]
            for step in range(1, steps)
        ]
    )


def mean_over_those_who_train(values):
    """(..., clients, parameters) -> (..., parameters), weighted, of every element over those who train it."""
    return np.einsum("ip,...ip->...p", SHARES[:, None] * TRAINS, values) / MASS


def test_the_first_devices_train_the_head_and_the_others_everything(curve):
    play = federation_of(curve).play({"kind": "fedavg"}, local_steps=1, rounds=0, **mixed())
    trained = np.zeros_like(TRAINS)
    for number, own in play.world.parts.items():
        trained[number, own.positions] = True
    np.testing.assert_array_equal(trained, TRAINS)


# --- FedAvg ---------------------------------------------------------------------------------------------------------


def test_a_round_of_fedavg_averages_every_element_over_those_who_train_it(curve):
    federation = federation_of(curve)
    found = federation.run({"kind": "fedavg"}, local_steps=3, rounds=1, rate=RATE, **mixed())
    ends = []
    for client in range(4):
        weights = found.weights[0, client].copy()
        for step in range(1, 4):
            weights -= RATE * federation.gradient(client, weights, step) * TRAINS[client]
            np.testing.assert_allclose(found.weights[step, client], weights, rtol=0, atol=1e-12)
        ends.append(weights)
    np.testing.assert_allclose(found.final, mean_over_those_who_train(np.stack(ends)), rtol=0, atol=1e-12)


def test_what_nobody_asked_trains_stays_as_it_was(curve):
    strategy = {"kind": "fedavg", "fraction_train": 0.5}
    play = federation_of(curve).play(strategy, local_steps=2, rounds=12, **mixed())
    asked = [sorted({row[0] for row in play.grid.trace.asked if row[1] == number}) for number in range(1, 13)]
    assert [0, 1] in asked, "some round asks only devices that train the head"
    for number, devices in enumerate(asked, start=1):
        before, after = play.versions[number - 1].trainable, play.versions[number].trainable
        np.testing.assert_array_equal(before != after, TRAINS[devices].any(axis=0))


@pytest.mark.parametrize(
    "optimizer", [{"kind": "sgd", "learning_rate": 0.1, "momentum": 0.9, "weight_decay": 0.1}, {"kind": "adam", "learning_rate": 0.1}]
)
def test_an_optimizer_moves_the_elements_that_train_and_no_others(curve, optimizer):
    training = {"batch_size": "all", "local_steps": 3, "precision": "float64", "optimizer": optimizer}
    play = federation_of(curve).play({"kind": "fedavg"}, local_steps=3, rounds=3, training=training, **mixed())
    for (device, step), weights in play.observed.items():
        before = play.versions[(step - 1) // 3].trainable
        np.testing.assert_array_equal(weights != before, TRAINS[device])


# --- DGA ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("local_steps", "delay"), [(1, 2), (3, 2), (3, 3), (2, 5), (3, 0)])
def test_clients_share_everything_but_their_own_latest_gradients(curve, local_steps, delay):
    federation = federation_of(curve)
    found = federation.run(dga(delay), local_steps=local_steps, rounds=8, **mixed())
    gradients = gradients_of(federation, found.weights)
    for n in range(1, len(found.weights)):
        tau = (n - delay) // local_steps if n >= delay else 0
        shared = mean_over_those_who_train(gradients[: tau * local_steps]).sum(axis=0)
        own = gradients[tau * local_steps : n].sum(axis=0)
        np.testing.assert_allclose(found.weights[n], found.weights[0] - RATE * (shared + own), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(3, 2), (2, 5), (4, 4)])
def test_over_those_who_train_an_element_corrections_cancel_and_the_mean_descends_the_mean_gradient(curve, local_steps, delay):
    federation = federation_of(curve)
    found = federation.run(dga(delay), local_steps=local_steps, rounds=7, **mixed())
    gradients = gradients_of(federation, found.weights)
    steps = np.diff(found.weights, axis=0)
    corrections = steps / -RATE - gradients
    assert np.abs(corrections).max() > 1e-3
    np.testing.assert_allclose(mean_over_those_who_train(corrections), 0, atol=1e-12)
    descent = -RATE * mean_over_those_who_train(gradients)
    np.testing.assert_allclose(mean_over_those_who_train(steps), descent, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(3, 2), (2, 5)])
def test_the_mean_over_all_clients_does_not_descend_it(curve, local_steps, delay):
    federation = federation_of(curve)
    found = federation.run(dga(delay), local_steps=local_steps, rounds=7, **mixed())
    mean = np.einsum("i,nip->np", SHARES, found.weights)
    descent = -RATE * mean_over_those_who_train(gradients_of(federation, found.weights))
    error = np.abs(np.diff(mean, axis=0) - descent).max(axis=0)
    assert error[: PARAMETERS - HEAD].max() > 1e-3
    assert error[PARAMETERS - HEAD :].max() < 1e-12


@pytest.mark.parametrize("fraction", [1.0, 0.5, 0.75])
def test_without_delay_it_is_the_mixed_fedavg_over_fifty_rounds(curve, fraction):
    federation = federation_of(curve)
    delayed = federation.run(dga(0, fraction_train=fraction), local_steps=3, rounds=50, **mixed())
    averaged = federation.run({"kind": "fedavg", "fraction_train": fraction}, local_steps=3, rounds=50, **mixed())
    np.testing.assert_allclose(delayed.final, averaged.final, rtol=0, atol=1e-12)
    assert np.abs(delayed.final - delayed.weights[0, 0]).min() > 1e-6


@pytest.mark.parametrize(("local_steps", "delay"), [(2, 4), (3, 3)])
def test_sending_early_gives_the_same_weights(curve, local_steps, delay):
    federation = federation_of(curve)
    waited = federation.run(dga(delay), local_steps=local_steps, rounds=8, **mixed())
    early = federation.run(dga(delay, send="early"), local_steps=local_steps, rounds=8, **mixed())
    known = min(len(early.weights), len(waited.weights))
    np.testing.assert_allclose(early.weights[:known], waited.weights[:known], rtol=0, atol=1e-12)
    np.testing.assert_allclose(early.final, waited.final, rtol=0, atol=1e-12)


@pytest.mark.parametrize("late", ["carry", "drop"])
def test_whoever_does_not_train_an_element_holds_a_version_of_the_model_even_if_replies_are_late(curve, late):
    options = mixed()
    options["fleet"][3]["device"]["step_time"] = "4 s"
    strategy = dga(2, late=late, timeout="9 s", fraction_train=0.75)
    play = federation_of(curve).play(strategy, local_steps=3, rounds=25, **options)
    body = slice(0, PARAMETERS - HEAD)
    versions = np.stack([version.trainable[body] for version in play.versions])
    for (device, _), weights in play.observed.items():
        if device < 2:
            assert np.abs(versions - weights[body]).max(axis=1).min() < 1e-12


# --- what travels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", [{"kind": "fedavg"}, dga(0), dga(2), dga(5), dga(6, send="early")])
@pytest.mark.parametrize(("precision", "bytes_each"), [("float32", 4), ("float64", 8)])
def test_a_device_sends_its_own_elements_and_gets_everything_that_anybody_trains(curve, strategy, precision, bytes_each):
    play = federation_of(curve, precision=precision).play(strategy, local_steps=3, rounds=4, **mixed())
    activities = play.grid.trace.activities
    for device, own in enumerate(TRAINS.sum(axis=1)):
        up = {item.payload_bytes for item in activities if (item.device, item.kind) == (device, "upload")}
        down = {item.payload_bytes for item in activities if (item.device, item.kind) == (device, "download")}
        assert up - {0} == {bytes_each * own}
        assert down - {0} == {bytes_each * PARAMETERS}


def test_what_a_device_keeps_for_the_strategy_is_as_long_as_what_it_trains(curve):
    play = federation_of(curve).play(dga(5), local_steps=3, rounds=4, **mixed())
    for device, own in enumerate(TRAINS.sum(axis=1)):
        record = play.state(device)["dga"]
        assert {len(value) for key, value in record.items() if key.startswith("own-")} == {8 * own}
        assert len(record["weights"]) == 8 * PARAMETERS


def test_drift_is_observed_in_mixed_fleets_where_clients_deviate_only_on_what_they_train(curve, monkeypatch):
    seen, observe = [], Drift.observe

    def noted(drift, number, delay, sums, average):
        listed = list(sums)
        seen.append((number, delay, dict(listed), average.copy()))
        observe(drift, number, delay, listed, average)

    monkeypatch.setattr(Drift, "observe", noted)
    play = federation_of(curve).play(dga({"kind": "drift", "at_most": 5}), local_steps=3, rounds=12, **mixed())
    assert [(number, delay) for number, delay, _, _ in seen] == [(version.round, version.delay) for version in play.versions[1:]]
    shared = TRAINS.sum(axis=0) > 1
    for _, _, sums, average in seen:
        assert sums.keys() == set(range(len(TRAINS)))
        for client, vector in sums.items():
            assert np.array_equal(vector[~TRAINS[client]], average[~TRAINS[client]])
            assert (vector[TRAINS[client] & shared] != average[TRAINS[client] & shared]).all()
        # weighted with what they count, deviations from an average sum to 0 element by element
        deviation = sum(size * (sums[client] - average) for client, size in enumerate(SIZES))
        assert np.abs(deviation).max() < 1e-12 * np.abs(average).max()
    assert all(1 <= version.delay <= 5 for version in play.versions[1:])
