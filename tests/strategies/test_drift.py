"""What the server sees of clients' drift in their sums."""

import numpy as np
import pytest

from fedtiny.strategies.delay_choice import soonest
from fedtiny.strategies.drift import Drift

STEPS, CLIENTS, ELEMENTS = 5, 8, 600


def deviations(kappa, under_way, *, rounds, noise, seed=1):
    """e_t = e* - kappa (the sum of the last `under_way`) + noise, (rounds, clients, elements); they sum to 0 over the clients."""
    generator = np.random.default_rng(seed)
    target = generator.normal(size=(CLIENTS, ELEMENTS))
    found = []
    for _ in range(rounds):
        e = target - kappa * sum(found[-under_way:], np.zeros_like(target)) + noise * generator.normal(size=target.shape)
        found.append(e - e.mean(axis=0))
    return found


def observed(found, delay, *, average=0.5, absent=lambda number, client: False):
    drift = Drift(STEPS)
    middle = np.full(ELEMENTS, average)
    for number, e in enumerate(found, 1):
        drift.observe(number, delay, [(client, middle + e[client]) for client in range(CLIENTS) if not absent(number, client)], middle)
    return drift


def test_drift_counts_in_full_until_something_is_seen_of_it():
    drift = observed(deviations(0.0, 1, rounds=2, noise=0.0), 10)
    assert drift.swing == 1.0
    assert drift.harm == drift.apart > 1


@pytest.mark.parametrize("under_way", [1, 2, 4])
def test_gradients_that_hardly_change_on_the_way_do_not_swing(under_way):
    drift = observed(deviations(0.01, under_way, rounds=60, noise=0.3), STEPS * under_way)
    # what deviates lastingly is e* / (1 + kappa under_way), of which the mean of the clients is taken away
    assert drift.apart == pytest.approx((1 - 1 / CLIENTS) / (1 + 0.01 * under_way) ** 2 / 0.5**2, rel=0.05)
    assert drift.swing < 0.01


@pytest.mark.parametrize("under_way", [2, 3, 4])
def test_what_is_learnt_within_a_delay_and_unlearnt_by_the_corrections_swings(under_way):
    drift = observed(deviations(0.97, under_way, rounds=80, noise=0.3), STEPS * under_way)
    assert drift.swing * (under_way + 1) > 0.3


def test_what_was_seen_is_forgotten_slowly_at_a_delay_that_does_not_show_it():
    found = [*deviations(0.97, 2, rounds=40, noise=0.3), *deviations(0.01, 1, rounds=40, noise=0.3)]
    drift = Drift(STEPS)
    middle, seen = np.full(ELEMENTS, 0.5), []
    for number, e in enumerate(found, 1):
        delay = 10 if number <= 40 else 1
        drift.observe(number, delay, [(client, middle + e[client]) for client in range(CLIENTS)], middle)
        seen.append(drift.swing)
    assert 0.6 * seen[39] < seen[79] < 0.75 * seen[39]


def test_noise_alone_is_hardly_any_drift():
    drift = observed(list(np.array(deviations(0.1, 2, rounds=60, noise=1.0)) - deviations(0.1, 2, rounds=60, noise=0.0)), 10)
    assert drift.apart < 0.2


def test_clients_that_are_absent_now_and_then_are_seen_too():
    found = deviations(0.01, 2, rounds=80, noise=0.1)
    drift = observed(found, 10, absent=lambda number, client: (number * 7 + client * 3) % 5 == 0)
    assert drift.apart == pytest.approx(observed(found, 10).apart, rel=0.1)
    assert drift.swing < 0.02


def test_without_harm_the_delay_hides_the_round_trip_and_with_much_of_it_rounds_wait():
    assert soonest(20, 5, 0.1, 2.0, 0.0) == 20
    assert soonest(20, 5, 0.1, 2.0, 10.0) == 1
    chosen = [soonest(20, 5, 0.1, 2.0, harm) for harm in np.geomspace(0.001, 10, 30)]
    assert chosen == sorted(chosen, reverse=True)
