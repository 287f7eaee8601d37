"""Delayed gradient averaging: every identity and golden number of Algorithm 1 (B1 to B13 of the reference), on the real path."""

import numpy as np
import pytest

SMALL = [(1, 1), (1, 3), (2, 1), (2, 2), (3, 2), (3, 3), (3, 5), (2, 7), (4, 4)]
UNIFORM = {"weighting": "uniform"}


def dga(delay, **options):
    return {"kind": "dga", "delay": delay, **options}


def algorithm_1(federation, start, shares, local_steps, delay, rounds, rate):
    """Algorithm 1 written down as printed: nested loops, one client at a time, nothing shared with FedTiny's strategies."""
    clients, s = len(shares), (delay - 1) // local_steps
    weights = [start.copy() for _ in range(clients)]
    history, own, averages = [np.stack(weights)], {}, {}
    for t in range(1, rounds + 1):
        sums = [np.zeros_like(start) for _ in range(clients)]
        for k in range(1, local_steps + 1):
            for i in range(clients):
                gradient = federation.gradient(i, weights[i], (t - 1) * local_steps + k)
                sums[i] = sums[i] + gradient
                step = gradient
                if k % local_steps == delay % local_steps and t - 1 - s >= 1:
                    step = gradient - own[t - 1 - s, i] + averages[t - 1 - s]
                weights[i] = weights[i] - rate * step
            history.append(np.stack(weights))
        for i in range(clients):
            own[t, i] = sums[i]
        averages[t] = sum(share * total for share, total in zip(shares, sums, strict=True))
    return np.stack(history), start - rate * sum(averages.values())


@pytest.mark.parametrize(("local_steps", "delay"), SMALL)
@pytest.mark.parametrize("weighting", ["uniform", "examples"])
def test_every_step_of_every_client_is_that_of_algorithm_1(curve, local_steps, delay, weighting):
    federation = curve()
    found = federation.run(dga(delay, weighting=weighting), local_steps=local_steps, rounds=6)
    shares = [1 / 3] * 3 if weighting == "uniform" else [7 / 28, 12 / 28, 9 / 28]
    expected, model = algorithm_1(federation, found.weights[0, 0], shares, local_steps, delay, 6, 0.1)
    assert len(found.weights) == 6 * local_steps + 1
    np.testing.assert_allclose(found.weights, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.final, model, rtol=0, atol=1e-12)


def test_b1_without_delay_it_is_fedavg_over_fifty_rounds_of_unequal_clients(curve):
    federation = curve(sizes=(3, 17, 8, 5))
    delayed = federation.run(dga(0), local_steps=3, rounds=50)
    averaged = federation.run({"kind": "fedavg"}, local_steps=3, rounds=50)
    np.testing.assert_allclose(delayed.final, averaged.final, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(delayed.result.rounds["virtual_time"], averaged.result.rounds["virtual_time"])


def test_b1_without_delay_it_is_fedavg_in_float32_over_three_rounds(curve):
    federation = curve(sizes=(3, 17, 8, 5), precision="float32")
    delayed = federation.run(dga(0), local_steps=3, rounds=3)
    averaged = federation.run({"kind": "fedavg"}, local_steps=3, rounds=3)
    assert delayed.result.model["first.weight"].dtype == np.float32
    np.testing.assert_allclose(delayed.final, averaged.final, rtol=0, atol=1e-5)


@pytest.mark.parametrize("fraction", [0.5, 0.75])
def test_b1_without_delay_it_is_fedavg_when_only_some_clients_are_asked(curve, fraction):
    federation = curve(sizes=(3, 17, 8, 5))
    delayed = federation.run(dga(0, fraction_train=fraction), local_steps=3, rounds=30)
    averaged = federation.run({"kind": "fedavg", "fraction_train": fraction}, local_steps=3, rounds=30)
    np.testing.assert_allclose(delayed.final, averaged.final, rtol=0, atol=1e-12)


def test_b1_a_delay_of_one_is_not_fedavg(curve):
    federation = curve()
    delayed = federation.run(dga(1), local_steps=3, rounds=5)
    averaged = federation.run({"kind": "fedavg"}, local_steps=3, rounds=5)
    assert np.abs(delayed.final - averaged.final).max() > 1e-4


@pytest.mark.parametrize("clients", [1, 2, 4])
@pytest.mark.parametrize(("local_steps", "delay"), [(1, 1), (3, 0), (3, 2), (2, 5), (3, 3)])
def test_b2_b3_equal_clients_are_plain_sgd_bit_by_bit(curve, clients, local_steps, delay):
    federation = curve(sizes=(8,) * clients, identical=True, batch_size="all")
    found = federation.run(dga(delay, **UNIFORM), local_steps=local_steps, rounds=5)
    weights = found.weights[0, 0]
    for step in range(1, len(found.weights)):
        weights = weights - 0.1 * federation.gradient(0, weights, step)
        for client in range(clients):
            np.testing.assert_array_equal(found.weights[step, client], weights)


def corrections(federation, found, rate):
    """c (steps, clients, parameters): what was added to the plain step, as w_n = w_{n-1} - rate (g + c)."""
    steps = np.diff(found.weights, axis=0) / -rate
    gradients = np.stack(
        [
            [federation.gradient(client, found.weights[step - 1, client], step) for client in range(found.weights.shape[1])]
            for step in range(1, len(found.weights))
        ]
    )
    return steps - gradients, gradients


@pytest.mark.parametrize(("local_steps", "delay"), [(3, 2), (2, 5), (4, 4)])
def test_b4_the_corrections_of_all_clients_cancel(curve, local_steps, delay):
    federation, shares = curve(), np.array([7, 12, 9]) / 28
    found = federation.run(dga(delay), local_steps=local_steps, rounds=7)
    correction, _ = corrections(federation, found, 0.1)
    np.testing.assert_allclose(np.einsum("i,nip->np", shares, correction), 0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(3, 2), (2, 5), (4, 4)])
def test_b5_the_mean_of_the_clients_descends_the_mean_gradient(curve, local_steps, delay):
    federation, shares = curve(), np.array([7, 12, 9]) / 28
    found = federation.run(dga(delay), local_steps=local_steps, rounds=7)
    _, gradients = corrections(federation, found, 0.1)
    mean = np.einsum("i,nip->np", shares, found.weights)
    np.testing.assert_allclose(np.diff(mean, axis=0), -0.1 * np.einsum("i,nip->np", shares, gradients), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(1, 2), (3, 2), (3, 3), (2, 5)])
def test_b8_corrections_come_at_k_plus_d_and_then_every_k_steps(curve, local_steps, delay):
    federation = curve()
    found = federation.run(dga(delay), local_steps=local_steps, rounds=9)
    correction, _ = corrections(federation, found, 0.1)
    corrected = np.flatnonzero(np.abs(correction).max(axis=(1, 2)) > 1e-9) + 1
    last = 9 * local_steps
    assert corrected.tolist() == list(range(local_steps + delay, last + 1, local_steps))
    assert len(corrected) == max(0, (last - delay) // local_steps)


@pytest.mark.parametrize(("local_steps", "delay"), [(1, 2), (3, 2), (3, 0), (2, 5)])
def test_b6_clients_share_everything_but_their_own_latest_gradients(curve, local_steps, delay):
    federation, shares = curve(), np.array([7, 12, 9]) / 28
    found = federation.run(dga(delay), local_steps=local_steps, rounds=8)
    _, gradients = corrections(federation, found, 0.1)
    if delay == 0:
        # at D = 0 the correction of round t is part of step tK, so the gradients come from the closed form's own weights
        gradients = np.stack([[federation.gradient(i, found.weights[n - 1, i], n) for i in range(3)] for n in range(1, len(found.weights))])
    for n in range(1, len(found.weights)):
        tau = (n - delay) // local_steps if n >= delay else 0
        shared = np.einsum("i,nip->p", shares, gradients[: tau * local_steps])
        own = gradients[tau * local_steps : n].sum(axis=0)
        np.testing.assert_allclose(found.weights[n], found.weights[0] - 0.1 * (shared + own), rtol=0, atol=1e-12)


def test_b7_a_delay_longer_than_the_run_is_one_shot_averaging(curve):
    federation = curve()
    found = federation.run(dga(100, **UNIFORM), local_steps=3, rounds=4)
    apart = []
    for client in range(3):
        weights = found.weights[0, client]
        for step in range(1, 13):
            weights = weights - 0.1 * federation.gradient(client, weights, step)
        apart.append(weights)
    np.testing.assert_allclose(found.weights[-1], apart, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.final, np.mean(apart, axis=0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("delay", [1, 3, 6])
def test_b9_with_one_local_step_it_is_the_form_of_the_lecture(curve, delay):
    federation = curve()
    found = federation.run(dga(delay, **UNIFORM), local_steps=1, rounds=12)
    gradients = np.stack([[federation.gradient(i, found.weights[n - 1, i], n) for i in range(3)] for n in range(1, 13)])
    for n in range(delay + 1, 13):
        old = gradients[n - 1 - delay]
        step = gradients[n - 1] - old + old.mean(axis=0)
        np.testing.assert_allclose(found.weights[n], found.weights[n - 1] - 0.1 * step, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(2, 0), (2, 1), (3, 3), (2, 5), (3, 50)])
@pytest.mark.parametrize("clients", [2, 3])
def test_b10_quadratics_with_one_hessian_descend_like_the_centre(quadratics, local_steps, delay, clients):
    b = [0.0, 3.0, -1.0][:clients]
    federation = quadratics([2.0] * clients, b, [0.0] * clients, start=1.0)
    found = federation.run(dga(delay, **UNIFORM), local_steps=local_steps, rounds=6)
    centre = 1.0
    for step in range(1, 6 * local_steps + 1):
        centre = centre - 0.1 * 2.0 * (centre - np.mean(b))
        if step < len(found.weights):
            np.testing.assert_allclose(found.weights[step, :, 0].mean(), centre, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.final[0], centre, rtol=0, atol=1e-12)


def test_b11_golden_numbers_of_constant_gradients(quadratics):
    federation = quadratics([0.0, 0.0], [0.0, 0.0], [1.0, 3.0], start=0.0)
    found = federation.run(dga(1, **UNIFORM), local_steps=2, rounds=3)
    expected = [[-0.1, -0.3], [-0.2, -0.6], [-0.5, -0.7], [-0.6, -1.0], [-0.9, -1.1], [-1.0, -1.4]]
    np.testing.assert_allclose(found.weights[1:, :, 0], expected, rtol=0, atol=1e-12)


def test_b11_golden_numbers_without_delay(quadratics):
    federation = quadratics([0.0, 0.0], [0.0, 0.0], [1.0, 3.0], start=0.0)
    found = federation.run(dga(0, **UNIFORM), local_steps=2, rounds=3)
    expected = [[-0.1, -0.3], [-0.4, -0.4], [-0.5, -0.7], [-0.8, -0.8], [-0.9, -1.1]]
    np.testing.assert_allclose(found.weights[1:, :, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(2, 3), (5, 20), (3, 4)])
def test_b11_closed_form_of_constant_gradients(quadratics, local_steps, delay):
    c, mean = np.array([1.0, 3.0, 8.0]), 4.0
    federation = quadratics([0.0] * 3, [0.0] * 3, c, start=0.0)
    found = federation.run(dga(delay, **UNIFORM), local_steps=local_steps, rounds=8)
    for n in range(1, len(found.weights)):
        tau = (n - delay) // local_steps if n >= delay else 0
        expected = -0.1 * (n * mean + (n - tau * local_steps) * (c - mean))
        np.testing.assert_allclose(found.weights[n, :, 0], expected, rtol=0, atol=1e-12)


def test_b12_golden_numbers_of_different_hessians(quadratics):
    federation = quadratics([1.0, 2.0], [0.0, 3.0], [0.0, 0.0], start=1.0)
    found = federation.run(dga(1, **UNIFORM), local_steps=2, rounds=3)
    expected = [[0.81, 1.72], [1.184, 1.521], [1.0656, 1.8168], [1.33464, 1.67784], [1.201176, 1.942272]]
    np.testing.assert_allclose(found.weights[2:, :, 0], expected, rtol=0, atol=1e-12)


def test_b13_scaling_rate_and_loss_against_each_other_changes_nothing(curve):
    found = curve().run(dga(4), local_steps=3, rounds=5, rate=0.1)
    scaled = curve(scale=0.25).run(dga(4), local_steps=3, rounds=5, rate=0.4)
    np.testing.assert_allclose(scaled.weights, found.weights, rtol=0, atol=1e-12)


def test_b13_relabelling_clients_permutes_them_and_nothing_else(quadratics):
    found = quadratics([1.0, 2.0, 3.0], [0.0, 3.0, 1.0], [0.0, 1.0, 0.5], start=1.0).run(dga(3, **UNIFORM), local_steps=2, rounds=6)
    order = [2, 0, 1]
    turned = quadratics([3.0, 1.0, 2.0], [1.0, 0.0, 3.0], [0.5, 0.0, 1.0], start=1.0).run(dga(3, **UNIFORM), local_steps=2, rounds=6)
    np.testing.assert_allclose(turned.weights, found.weights[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("local_steps", "delay"), [(2, 2), (2, 4), (3, 3), (3, 9)])
def test_sending_early_gives_the_same_weights(curve, local_steps, delay):
    federation = curve()
    waited = federation.run(dga(delay), local_steps=local_steps, rounds=8, latency="5 s")
    early = federation.run(dga(delay, send="early"), local_steps=local_steps, rounds=8, latency="5 s")
    known = min(len(early.weights), len(waited.weights))
    assert known > 8 * local_steps - local_steps
    np.testing.assert_allclose(early.weights[:known], waited.weights[:known], rtol=0, atol=1e-12)
    np.testing.assert_allclose(early.final, waited.final, rtol=0, atol=1e-12)
    assert early.result.rounds["virtual_time"][-1].as_py() <= waited.result.rounds["virtual_time"][-1].as_py() + 1e-9
