"""A node of a Ray cluster is killed in the middle: nothing is lost, and no byte is different. `make ray` installs ray and runs these."""

import importlib.util
import threading
import time
from contextlib import contextmanager

import pytest

from fedtiny.preparation import prepare
from fedtiny.scenario.files import load_scenario, read_tree
from fedtiny.simulated_clients import in_this_process
from fedtiny.sweeps.axes import cross, parse_axis
from fedtiny.sweeps.local import processes
from fedtiny.sweeps.ray import on_ray, ray_executor
from fedtiny.sweeps.sweep import cell_folder, run_sweep
from fedtiny.training.local_work import LocalWork

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is an optional extra: make ray"),
    pytest.mark.filterwarnings("ignore"),
]


def lose(cluster, node, folder):
    """Kills a node without a word as soon as it has trained."""
    sign, until = folder / f"{node.node_id}.node", time.monotonic() + 60
    while not sign.exists() and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.5)  # some of its work is done by now, some is being done, some waits for it
    cluster.remove_node(node, allow_graceful=False)


@contextmanager
def losing(cluster, node, folder):
    """What is done inside loses this node."""
    thread = threading.Thread(target=lose, args=(cluster, node, folder))
    thread.start()
    try:
        yield
    finally:
        thread.join()
    until = time.monotonic() + 30  # the cluster finds out by and by
    while node.node_id in alive() and time.monotonic() < until:
        time.sleep(0.1)
    assert node.node_id not in alive()


def alive():
    import ray

    return {one["NodeID"] for one in ray.nodes() if one["Alive"]}


def packages(world, number):
    weights = world.flat.read()
    return [((0, LocalWork(weights + place / 8, 1, 3)), (1, LocalWork(weights, 1 + place, 2))) for place in range(number)]


def bits(results):
    return [[(one.weights.tobytes(), one.losses.tobytes()) for one in package] for package in results]


@pytest.mark.parametrize("width", [0, 1024], ids=["small results, which travel at once", "large ones, which wait on their node"])
def test_what_a_lost_node_had_is_trained_again_on_the_other_one_with_the_same_bytes(two_nodes, noting, tmp_path, width):
    own = load_scenario(noting(width=width))
    world = prepare(own, allow_code=True)
    wanted = packages(world, 30)
    with in_this_process()(world) as alone:
        expected = bits(alone.execute(wanted))
    with two_nodes() as (cluster, node), on_ray(cluster.address, allow_code=True)(prepare(own, allow_code=True)) as training:
        with losing(cluster, node, tmp_path):
            found = bits(training.execute(wanted))
        assert found == expected
        assert bits(training.execute(wanted[:3])) == expected[:3]  # the run goes on with one node
    assert len(list(tmp_path.glob("*.node"))) == 2


def test_a_sweep_that_loses_a_node_in_the_middle_ends_with_the_same_rows_and_bytes(two_nodes, noting, tmp_path):
    axes = [parse_axis("training.local_steps=5,6"), parse_axis("network.latency=10 ms,1 s")]
    sweep = cross(read_tree(noting("evaluation: {every: 5}\n")), tmp_path, [*axes, parse_axis("stop.rounds=10")], 2)
    with processes(2) as executor:
        here = run_sweep(sweep, tmp_path / "here", executor, allow_code=True)
    with (
        two_nodes() as (cluster, node),
        ray_executor(cluster.address, tmp_path / "there") as executor,
        losing(cluster, node, tmp_path),
    ):
        there = run_sweep(sweep, tmp_path / "there", executor, allow_code=True)
    assert len(list(tmp_path.glob("*.node"))) == 2
    assert there.cells["status"].to_pylist() == ["done"] * 8
    assert there.cells.equals(here.cells)
    names = ("rounds.parquet", "activities.parquet", "devices.parquet", "model.safetensors", "scenario.yaml")
    for cell in sweep.cells:
        for name in names:
            assert (cell_folder(tmp_path / "here", cell) / name).read_bytes() == (cell_folder(tmp_path / "there", cell) / name).read_bytes()
