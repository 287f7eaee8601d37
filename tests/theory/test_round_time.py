"""The law of round times: closed forms for homogeneous devices on links without limit, in at least 100 combinations.

    FedAvg, and DGA with D = 0:   K c + L
    DGA:                          K c + max(0, (L - D c)/(s + 1)),  s = (D - 1)//K
    DGA, send: early, K | D:      max(K c, (K c + L)/(D/K + 1))

with c the step time and L the round trip. Means are over a multiple of s + 1 rounds after 20 (s + 1) rounds.
"""

import itertools

import pytest

CASES = [
    (local_steps, delay, latency, step_time)
    for local_steps, delay in itertools.product((1, 2, 3, 5, 10), (0, 1, 2, 3, 4, 5, 7, 10, 13, 20, 25))
    for latency, step_time in ((0.0, 0.1), (0.37, 0.1), (2.5, 0.25))
]


def mean_round_time(federation, strategy, local_steps, rounds_in_flight, latency, step_time):
    settled, measured = 20 * rounds_in_flight, 2 * rounds_in_flight
    scenario = {"latency": f"{latency!r} s", "step_time": f"{step_time!r} s"}
    times = federation.measure(strategy, local_steps=local_steps, rounds=settled + measured, **scenario)
    return (times[settled + measured] - times[settled]) / measured


def test_there_are_at_least_a_hundred_combinations():
    assert len(CASES) >= 100


@pytest.mark.parametrize(("local_steps", "delay", "latency", "step_time"), CASES)
def test_dga_takes_the_time_of_its_law(clock, local_steps, delay, latency, step_time):
    s = (delay - 1) // local_steps if delay else 0
    found = mean_round_time(clock, {"kind": "dga", "delay": delay}, local_steps, s + 1, latency, step_time)
    stall = (2 * latency - delay * step_time) / (s + 1)
    expected = local_steps * step_time + max(0.0, stall if delay else 2 * latency)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("local_steps", [1, 2, 5, 10])
@pytest.mark.parametrize(("latency", "step_time"), [(0.0, 0.1), (0.37, 0.1), (2.5, 0.25)])
def test_fedavg_waits_for_every_round_trip(clock, local_steps, latency, step_time):
    found = mean_round_time(clock, {"kind": "fedavg"}, local_steps, 1, latency, step_time)
    assert found == pytest.approx(local_steps * step_time + 2 * latency, rel=1e-9)


@pytest.mark.parametrize(("local_steps", "multiple"), [(1, 3), (2, 1), (3, 2), (5, 4)])
@pytest.mark.parametrize(("latency", "step_time"), [(0.0, 0.1), (0.37, 0.1), (2.5, 0.25)])
def test_sending_early_keeps_one_more_round_in_flight(clock, local_steps, multiple, latency, step_time):
    strategy = {"kind": "dga", "delay": multiple * local_steps, "send": "early"}
    found = mean_round_time(clock, strategy, local_steps, multiple + 1, latency, step_time)
    computing = local_steps * step_time
    assert found == pytest.approx(max(computing, (computing + 2 * latency) / (multiple + 1)), rel=1e-9)


def test_a_longer_delay_never_takes_longer_and_never_longer_than_fedavg(clock):
    delays = (1, 2, 4, 5, 6, 9, 10, 13, 20, 25)
    times = [mean_round_time(clock, {"kind": "dga", "delay": delay}, 5, (delay - 1) // 5 + 1, 1.0, 0.1) for delay in delays]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(times))
    assert times[0] <= mean_round_time(clock, {"kind": "fedavg"}, 5, 1, 1.0, 0.1) + 1e-12
    assert times[delays.index(20)] == pytest.approx(0.5, rel=1e-9)
