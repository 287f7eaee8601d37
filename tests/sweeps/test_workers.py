"""Worker processes of a run: the same bytes as one process, and what becomes of a run when one of them dies."""

import multiprocessing
import os
import signal

import pytest

from fedtiny.errors import ClientError, ExperimentError
from fedtiny.experiment import run
from fedtiny.preparation import prepare
from fedtiny.scenario.files import load_scenario
from fedtiny.simulated_clients import in_this_process
from fedtiny.sweeps.workers import in_worker_processes
from fedtiny.training.local_work import LocalWork, WorkFailed

BREAKS = """
import os, signal, torch
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, inputs):
        with torch.no_grad():
            if self.linear.bias[0] > 100 or (EARLY and self.training and len(inputs) == 8):
                DIES
        return self.linear(inputs.flatten(1))
"""


def packages(world, *sizes):
    """Packages of so many clients each; clients of the tiny scenario are two, so numbers repeat in different packages only."""
    weights = world.flat.read()
    return [tuple((number, LocalWork(weights + size / 8, 1 + place, 3)) for number in range(size)) for place, size in enumerate(sizes)]


def bits(results):
    return [[(one.weights.tobytes(), one.losses.tobytes()) for one in package] for package in results]


@pytest.fixture
def breaking(tiny, tmp_path):
    """The tiny scenario with a network of our own that does something bad where its first bias is large."""

    def write(what, early=False):
        (tmp_path / "network.py").write_text(BREAKS.replace("DIES", what).replace("EARLY", str(early)))
        return load_scenario(tiny(), {"model": {"kind": "python", "path": str(tmp_path / "network.py"), "name": "Network"}})

    return write


def bad(world):
    weights = world.flat.read()
    weights[:] = 1000
    return ((0, LocalWork(weights, 1, 1)),)


def test_packages_give_the_same_bytes_in_order_whatever_the_number_of_workers(tiny):
    world = prepare(load_scenario(tiny()))
    wanted = packages(world, 2, 1, 2, 2, 1, 2, 1)
    before = set(multiprocessing.active_children())
    with in_this_process()(world) as alone:
        expected = bits(alone.execute(wanted))
    with in_worker_processes(2)(prepare(load_scenario(tiny()))) as training:
        assert training.packages == 4
        assert len(set(multiprocessing.active_children()) - before) == 2
        assert bits(training.execute(wanted)) == expected
        assert bits(training.execute(wanted[2:3])) == expected[2:3]
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.slow
def test_a_run_has_the_same_bytes_with_a_worker(tiny):
    scenario = load_scenario(tiny())
    plain, worked = run(scenario), run(scenario, training=in_worker_processes(1))
    assert worked.rounds.equals(plain.rounds)
    assert worked.activities.equals(plain.activities)
    assert {name: value.tobytes() for name, value in worked.model.items()} == {name: value.tobytes() for name, value in plain.model.items()}


@pytest.mark.slow
def test_a_worker_that_is_killed_is_replaced_and_its_package_done_again(tiny):
    world = prepare(load_scenario(tiny()))
    wanted = packages(world, 2, 1)
    before = set(multiprocessing.active_children())
    with in_worker_processes(1)(world) as training:
        expected = bits(training.execute(wanted))
        (worker,) = set(multiprocessing.active_children()) - before
        os.kill(worker.pid, signal.SIGKILL)
        assert bits(training.execute(wanted)) == expected


@pytest.mark.slow
def test_a_package_that_kills_its_worker_twice_ends_the_run(breaking):
    world = prepare(breaking("os.kill(os.getpid(), signal.SIGKILL)"), allow_code=True)
    before = set(multiprocessing.active_children())
    with (
        pytest.raises(ExperimentError, match="killed its worker process twice"),
        in_worker_processes(1, allow_code=True)(world) as training,
    ):
        training.execute([bad(world)])
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.slow
def test_what_a_client_raises_reaches_the_run_with_its_number(breaking):
    scenario = breaking("raise ValueError('too large')")
    world = prepare(scenario, allow_code=True)
    with pytest.raises(WorkFailed, match="too large") as raised, in_worker_processes(1, allow_code=True)(world) as training:
        training.execute([bad(world)])
    assert raised.value.client == 0


@pytest.mark.slow
def test_a_client_that_fails_in_a_worker_fails_the_run_by_device_and_round(breaking):
    scenario = breaking("raise ValueError('too large')", early=True)
    with pytest.raises(ClientError, match=r"device 0.*round 1.*too large"):
        run(scenario, training=in_worker_processes(1, allow_code=True), allow_code=True)


@pytest.mark.slow
def test_another_world_is_refused_and_named(tiny):
    world = prepare(load_scenario(tiny()))
    world.flat.weights += 1
    with pytest.raises(ExperimentError, match="another world than the run: network"), in_worker_processes(1)(world):
        pytest.fail("training began")


@pytest.mark.slow
def test_an_interrupt_ends_the_workers_at_once(tiny):
    before = set(multiprocessing.active_children())
    with pytest.raises(KeyboardInterrupt), in_worker_processes(2)(prepare(load_scenario(tiny()))):
        raise KeyboardInterrupt
    assert set(multiprocessing.active_children()) <= before
