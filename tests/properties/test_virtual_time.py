"""What must hold of virtual time for every device, network and load."""

import functools
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import simpy
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedtiny.experiment import run
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.scenario.files import load_scenario
from fedtiny.simulation.device import Execution, SimulatedDevice
from fedtiny.simulation.trace import Trace

# a busy machine is slow, which says nothing about what is tested
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=60)

MESSAGES = st.lists(st.tuples(st.integers(0, 500), st.floats(0, 5), st.integers(0, 500)), min_size=1, max_size=4)
BURSTS = st.lists(st.tuples(st.floats(0, 20), MESSAGES), min_size=1, max_size=5)
RATES = st.floats(1, 1000)
RESOURCES = {"download": ("download",), "train": ("train", "evaluate"), "upload": ("upload",)}


@st.composite
def networks(draw, *, loss=True):
    return {
        "latency": f"{draw(st.floats(0, 10)):.6f} s",
        "jitter": f"{draw(st.sampled_from((0.0, 0.5, 5.0)))!r} s",
        "loss": draw(st.sampled_from((0.0, 0.3))) if loss else 0.0,
    }


def simulate(bursts, runtime, network, downlink, uplink):
    """The trace, and when the reply to each message was delivered."""
    device = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s", "runtime": runtime}).profile()
    link = CustomNetwork.model_validate(
        {"kind": "custom", "downlink": f"{downlink!r} B/s", "uplink": f"{uplink!r} B/s", **network}
    ).profile()
    environment, trace, delivered = simpy.Environment(), Trace(), {}
    simulated = SimulatedDevice(environment, Traits(0, 0, 0, "group", device, link), Streams(3), trace)

    def work(number, size, seconds, reply):
        def deliver():
            delivered[number] = environment.now
            return True

        begin = functools.partial(Execution, seconds, seconds, reply, 0)
        return SimpleNamespace(round=number, bytes=size, payload_bytes=0, begin=begin, deliver=deliver)

    numbers = itertools.count()
    for gap, messages in bursts:
        environment.run(until=environment.now + gap + 1e-6)
        simulated.accept([work(next(numbers), *message) for message in messages])
    environment.run()
    return trace, [delivered[number] for number in sorted(delivered)]


@unhurried
@given(BURSTS, st.sampled_from(("overlapping", "serial")), networks(), RATES, RATES)
def test_activities_of_one_resource_never_overlap(bursts, runtime, network, downlink, uplink):
    trace, _ = simulate(bursts, runtime, network, downlink, uplink)
    for kinds in RESOURCES.values():
        spans = sorted((activity.start, activity.end) for activity in trace.activities if activity.kind in kinds)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@unhurried
@given(BURSTS, networks(), RATES, RATES)
def test_a_serial_runtime_does_one_thing_at_a_time(bursts, network, downlink, uplink):
    trace, _ = simulate(bursts, "serial", network, downlink, uplink)
    spans = sorted((activity.start, max(activity.end, activity.arrival or 0.0)) for activity in trace.activities)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


@unhurried
@given(BURSTS, st.sampled_from(("overlapping", "serial")), networks(), RATES, RATES)
def test_the_clock_never_runs_backwards(bursts, runtime, network, downlink, uplink):
    trace, _ = simulate(bursts, runtime, network, downlink, uplink)
    starts = [activity.start for activity in trace.activities]
    assert starts == sorted(starts)
    assert all(activity.start <= activity.end <= (activity.arrival or activity.end) for activity in trace.activities)


@unhurried
@given(BURSTS, st.sampled_from(("overlapping", "serial")), networks(), RATES, RATES)
def test_every_message_is_answered_once_and_in_order(bursts, runtime, network, downlink, uplink):
    trace, delivered = simulate(bursts, runtime, network, downlink, uplink)
    messages = [message for _, burst in bursts for message in burst]
    assert len(delivered) == len(messages)
    assert delivered == sorted(delivered)
    done = [activity for activity in trace.activities if activity.kind == "upload" and activity.outcome == "done"]
    assert sorted(activity.round for activity in done) == list(range(len(messages)))


@unhurried
@given(BURSTS, st.sampled_from(("overlapping", "serial")), networks(loss=False), RATES, RATES, st.floats(1, 10), st.floats(1, 10))
def test_more_bandwidth_never_takes_longer(bursts, runtime, network, downlink, uplink, more_down, more_up):
    _, slow = simulate(bursts, runtime, network, downlink, uplink)
    _, fast = simulate(bursts, runtime, network, downlink * more_down, uplink * more_up)
    assert all(faster <= slower + 1e-9 * slower for faster, slower in zip(fast, slow, strict=True))


@unhurried
@given(BURSTS, networks(loss=False), RATES, RATES)
def test_a_device_that_overlaps_never_takes_longer_than_a_serial_one(bursts, network, downlink, uplink):
    network = {**network, "jitter": "0 s"}
    _, serial = simulate(bursts, "serial", network, downlink, uplink)
    _, overlapping = simulate(bursts, "overlapping", network, downlink, uplink)
    assert all(faster <= slower + 1e-9 * slower for faster, slower in zip(overlapping, serial, strict=True))


def federation(folder, devices, extra, seed, network):
    """A scenario in which every device holds four examples, and `extra` more devices that are faster than all others."""
    generator, examples = np.random.default_rng(seed), 4 * (devices + extra)
    np.savez(
        folder / f"data-{devices + extra}.npz",
        x_train=generator.normal(size=(examples, 1, 2, 2)),
        y_train=np.arange(examples) % 2,
        x_test=generator.normal(size=(4, 1, 2, 2)),
        y_test=np.arange(4) % 2,
        client_train=np.arange(examples) // 4,
    )
    fleet = [
        {"count": devices, "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"}, "network": {"kind": "custom", **network}}
    ]
    fast = {"kind": "custom", "memory": "1 GB", "step_time": "1 ms"}
    fleet += [{"count": extra, "device": fast, "network": {"kind": "custom", "latency": "0 s"}}] if extra else []
    scenario = {
        "name": "population",
        "seed": seed,
        "model": {"kind": "linear"},
        "data": {"kind": "npz", "path": f"data-{devices + extra}.npz", "partition": {"kind": "natural"}},
        "training": {"batch_size": 4, "local_steps": 2},
        "strategy": {"kind": "fedavg"},
        "fleet": fleet,
        "stop": {"rounds": 3},
    }
    path = folder / f"scenario-{devices + extra}.yaml"
    path.write_text(yaml.safe_dump(scenario))
    return load_scenario(path)


@settings(unhurried, max_examples=10)
@given(devices=st.integers(1, 4), extra=st.integers(1, 3), seed=st.integers(0, 9), network=networks())
def test_new_devices_change_no_other_devices_activities(tmp_path_factory, devices, extra, seed, network):
    network["uplink"] = "1 kB/s"
    folder = tmp_path_factory.mktemp("population")
    before = run(federation(folder, devices, 0, seed, network)).activities.to_pylist()
    after = run(federation(folder, devices, extra, seed, network)).activities.to_pylist()
    assert [row for row in after if row["device"] < devices] == before
    assert {row["device"] for row in after} == set(range(devices + extra))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_load_gives_the_same_trace(seed):
    bursts = [(1.0, [(100, 2.0, 50)] * 3), (0.5, [(10, 0.0, 500)])]
    network = {"latency": "1 s", "jitter": f"{seed + 1} s", "loss": 0.3}
    first, again = (simulate(bursts, "overlapping", network, 20.0, 30.0)[0].activities for _ in range(2))
    assert first == again
