"""`delay: drift` against a plain copy of its rule: what the server had seen in a run, and a search of every delay by hand.

The run is recorded and not changed: which sums the server compared, and which delay each round got. The copy keeps everything it ever saw,
has no columns and no running means, and tries every delay.
"""

from itertools import pairwise

import numpy as np
import pytest

from fedtiny.strategies.delay_choice import DelayChooser
from fedtiny.strategies.drift import Drift

K, STEP, ROUND_TRIP, MOST = 5, 0.1, 2.0, 50
CLIENTS = 6


def smoothed(values):
    """What is left of each value is 0.8 times as much one value later; the first one counts in full."""
    weights = [0.2 * 0.8 ** (len(values) - 1 - place) for place in range(len(values))]
    weights[0] = 0.8 ** (len(values) - 1)
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def lag_of(delay):
    return (delay - 1) // K + 2


def common(rounds, at, lag):
    """<e_t, e_{t-lag}> / ||mbar_t||^2 of one round, of every client that was in both; C is their mean."""
    number, _, sums, average = rounds[at]
    before = next((found for found in rounds[:at] if found[0] == number - lag), None)
    if before is None or not np.any(average):
        return []
    pairs = [(sums[client] - average) @ (before[2][client] - before[3]) for client in sums if client in before[2]]
    return [float(pair) / float(average @ average) for pair in pairs]


def seen(rounds):
    """y and the swing after these rounds: a round (number, delay, sums by client, average)."""
    apart, swing, first = 0.0, None, 0
    following, back, period = [], [], []
    for at, (_, delay, _, _) in enumerate(rounds):
        lag = lag_of(delay)
        if at and lag_of(rounds[at - 1][1]) != lag:
            first, following, back, period = at, [], [], []
        found = [common(rounds, at, k) for k in range(1, lag + 1)]
        following += [np.mean(found[0])] if found[0] else []
        if at - first + 1 > lag:
            back += [np.mean(found[-1])] if found[-1] else []
            period += [np.mean([value for values in found for value in values])] if any(found) else []
            if following and back and period:
                old, new = smoothed(back), smoothed(following)
                turns = min(1.0, max(0.0, 1 - new / old)) if old > 0 else 0.0
                turned = turns * K / (delay + K)
                apart = max(smoothed(period), 0.99 * apart)
                swing = turned if swing is None else max(turned, 0.99 * swing)
    y = apart or (max(0.0, smoothed(following)) if following else 0.0)
    return y, 1.0 if swing is None else swing


def searched(y, swing, step, round_trip, sensitivity=1.0):
    """The delay whose rounds are worth most for their time; of equal ones the smallest."""
    best, most = None, -1.0
    for delay in range(1, min(int(np.ceil(round_trip / step - 1e-6)), MOST) + 1):
        period = K * step + max(0.0, (round_trip - delay * step) / ((delay - 1) // K + 1))
        value = 1 / (1 + sensitivity * y * swing**2 * ((delay + K) / K) ** 2) / period
        if value > most:
            best, most = delay, value
    return best


@pytest.fixture
def recorded(monkeypatch):
    """What a run's server compared, and the delays it chose: (number, rounds compared by then, delay, step, round trip)."""
    rounds, chosen, observe, choose = [], [], Drift.observe, DelayChooser.delay

    def watched(self, number, delay, sums, average):
        sums = [(client, np.array(vector)) for client, vector in sums]
        rounds.append((number, delay, {client: vector.astype(float) for client, vector in sums}, np.array(average, dtype=float)))
        observe(self, number, delay, iter(sums), average)

    def watched_choice(self, number):
        delay = choose(self, number)
        chosen.append((number, len(rounds), delay, self.trips.step, self.trips.round_trip(self.part.quantile)))
        return delay

    monkeypatch.setattr(Drift, "observe", watched)
    monkeypatch.setattr(DelayChooser, "delay", watched_choice)
    return rounds, chosen


@pytest.mark.parametrize(("curvature", "sensitivity"), [(0.3, 1.0), (1.5, 1.0), (1.5, 0.05), (2.0, 0.2)])
def test_every_round_of_a_run_gets_the_delay_that_a_search_by_hand_finds(quadratics, recorded, curvature, sensitivity):
    rounds, chosen = recorded
    b = (1.5 * np.linspace(-1, 1, CLIENTS)).tolist()
    federation = quadratics([curvature * (1 + 0.3 * place) for place in range(CLIENTS)], b, [0.0] * CLIENTS, start=2.0)
    strategy = {"kind": "dga", "delay": {"kind": "drift", "sensitivity": sensitivity}}
    play = federation.play(strategy, local_steps=K, rounds=60, rate=0.1, step_time="100 ms", latency="1 s")
    known = [choice for choice in chosen if choice[3] and choice[4] is not None]
    assert len(known) >= 50
    for _, compared, delay, step, round_trip in known:
        assert (step, round_trip) == pytest.approx((STEP, ROUND_TRIP), rel=1e-6)
        assert delay == searched(*seen(rounds[:compared]), step, round_trip, sensitivity)
    applied = {number: delay for number, _, delay, _, _ in chosen}
    assert [version.delay for version in play.versions[1:]] == [applied[number] for number in range(1, len(play.versions))]


def test_the_runs_above_take_long_delays_and_short_ones(quadratics, recorded):
    b = (1.5 * np.linspace(-1, 1, CLIENTS)).tolist()
    delays = []
    for curvature, sensitivity in ((0.3, 1.0), (1.5, 0.05), (2.0, 0.2)):
        federation = quadratics([curvature * (1 + 0.3 * place) for place in range(CLIENTS)], b, [0.0] * CLIENTS, start=2.0)
        strategy = {"kind": "dga", "delay": {"kind": "drift", "sensitivity": sensitivity}}
        play = federation.play(strategy, local_steps=K, rounds=60, rate=0.1, step_time="100 ms", latency="1 s")
        delays += [version.delay for version in play.versions[3:]]
    assert {1, 20} <= set(delays)
    assert len(set(delays)) >= 4


@pytest.mark.parametrize("under_way", [1, 2, 3, 4])
def test_clients_that_learn_all_within_a_delay_and_unlearn_it_swing_in_full(under_way):
    # kappa = 1: e* = e_t + ... + e_{t - under_way}, so e is e* once in under_way + 1 rounds and else 0: C_1 = 0, and all of it turns
    generator, delay = np.random.default_rng(4), under_way * K
    target = generator.normal(size=(CLIENTS, 3000))
    target -= target.mean(axis=0)
    drift, middle, rounds = Drift(K), np.full(3000, 0.5), []
    for number in range(1, 13 * (under_way + 1)):
        e = target * (number % (under_way + 1) == 1)
        drift.observe(number, delay, [(client, middle + e[client]) for client in range(CLIENTS)], middle)
        kept = np.linspace(0, 2999, 1024).astype(int)
        rounds.append((number, delay, {client: middle[kept] + e[client][kept] for client in range(CLIENTS)}, middle[kept]))
    assert drift.swing == pytest.approx(K / (delay + K), rel=1e-5)
    assert (drift.apart, drift.swing) == pytest.approx(seen(rounds), rel=1e-4)
    # the factor by which a round of this delay is worth less is then 1 + y, whatever the delay
    assert drift.harm * ((delay + K) / K) ** 2 == pytest.approx(drift.apart, rel=1e-5)


def test_what_was_learned_of_one_delay_is_not_compared_with_another(recorded):
    rounds, _ = recorded
    generator, drift, middle = np.random.default_rng(2), Drift(K), np.full(40, 1.0)
    for number, delay in enumerate([5] * 8 + [15] * 12 + [10] * 4 + [15] * 15, 1):
        present = [client for client in range(CLIENTS) if (number * 5 + client) % 4]
        drift.observe(number, delay, [(client, middle + generator.normal(size=40) + client % 3 - 1) for client in present], middle)
        y, swing = seen(rounds)
        assert (drift.apart, drift.swing) == pytest.approx((y, swing), rel=1e-3, abs=1e-6)
    assert len({lag_of(before[1]) for before, _ in pairwise(rounds)}) == 3
