"""`delay: auto` removes the stalls that communication causes, and only those; jitter does not make it grow without end."""

import pytest

from fedtiny.errors import ScenarioError
from fedtiny.experiment import run
from fedtiny.strategies.delay_choice import DelayChooser

AUTO = {"kind": "dga", "delay": {"kind": "auto", "at_most": 200}}


@pytest.fixture
def chosen(monkeypatch):
    """The delays that are chosen, in order."""
    found, choose = [], DelayChooser.delay

    def noted(chooser, number):
        found.append(choose(chooser, number))
        return found[-1]

    monkeypatch.setattr(DelayChooser, "delay", noted)
    return found


def fleet(*groups, **network):
    device = {"kind": "custom", "memory": "1 GB"}
    return [
        {"count": count, "device": {**device, "step_time": step}, "network": {"kind": "custom", "latency": latency, **network}}
        for count, step, latency in groups
    ]


def round_time(quadratics, devices, *, rounds=90, clients=10, strategy=AUTO):
    federation = quadratics([1.0] * clients, [0.0] * clients, [0.0] * clients, start=1.0)
    times = federation.measure(strategy, local_steps=5, rounds=rounds, fleet=devices, learning="none")
    return (times[-1] - times[rounds // 2]) / (rounds - rounds // 2)


@pytest.mark.parametrize(("latency", "delay"), [("0 s", 1), ("1 ms", 1), ("70 ms", 2), ("500 ms", 10), ("5 s", 100)])
def test_rounds_take_k_steps_whatever_the_latency_and_the_delay_is_the_smallest(quadratics, chosen, latency, delay):
    assert round_time(quadratics, fleet((10, "100 ms", latency)), rounds=240) == pytest.approx(0.5, rel=1e-6)
    assert chosen[-1] == delay


@pytest.mark.parametrize("learning", ["real", "none"])
def test_the_delay_of_every_round_is_in_the_results_of_a_run_and_of_a_plan(quadratics, chosen, learning):
    federation = quadratics([1.0] * 3, [0.0] * 3, [0.0] * 3, start=1.0)
    scenario = federation.load(AUTO, local_steps=5, rounds=12, fleet=fleet((3, "100 ms", "2 s")), learning=learning)
    found = run(scenario, allow_code=True).rounds["delay"].to_pylist()
    assert found == [None, *chosen[:12]]
    assert (found[1], found[-1]) == (5, 40)


def test_a_stated_delay_is_in_the_results_too_and_fedavg_has_none(quadratics):
    federation = quadratics([1.0] * 3, [0.0] * 3, [0.0] * 3, start=1.0)
    for strategy, expected in (({"kind": "dga", "delay": 7}, 7), ({"kind": "fedavg"}, None)):
        rounds = run(federation.load(strategy, local_steps=5, rounds=3), allow_code=True).rounds
        assert rounds["delay"].to_pylist() == [None, *[expected] * 3]


def test_a_slow_device_is_waited_for_and_the_delay_is_that_of_the_round_trips(quadratics, chosen):
    found = round_time(quadratics, fleet((9, "100 ms", "500 ms"), (1, "300 ms", "500 ms")))
    assert found == pytest.approx(1.5, rel=1e-6)
    assert chosen[-1] == 10


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_it_learns_also_where_some_devices_are_asked(quadratics, chosen, fraction):
    strategy = {**AUTO, "fraction_train": fraction}
    assert round_time(quadratics, fleet((10, "100 ms", "500 ms")), strategy=strategy) == pytest.approx(0.5, rel=0.01)
    assert chosen[-1] == 10


@pytest.mark.parametrize(("jitter", "most"), [("5 ms", 12), ("50 ms", 14)])
def test_jitter_does_not_make_it_grow_without_end(quadratics, chosen, jitter, most):
    assert round_time(quadratics, fleet((10, "100 ms", "500 ms"), jitter=jitter), rounds=240) < 0.52
    assert 10 <= chosen[-1] <= most


def test_drift_is_not_foreseen_without_learning(quadratics):
    with pytest.raises(ScenarioError, match="delay: drift is chosen by how far clients drift apart"):
        round_time(quadratics, fleet((10, "100 ms", "1 s")), strategy={"kind": "dga", "delay": "drift"})
