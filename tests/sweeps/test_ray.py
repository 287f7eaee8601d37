"""A real Ray cluster of two nodes on loopback: the same bytes as one process. `make ray` installs ray and runs these."""

import importlib.util

import pytest

from fedtiny.errors import ExperimentError
from fedtiny.experiment import run
from fedtiny.preparation import prepare
from fedtiny.results.objectives import objectives_of
from fedtiny.scenario.files import load_scenario, read_tree
from fedtiny.simulated_clients import in_this_process
from fedtiny.sweeps.axes import cross, parse_axis
from fedtiny.sweeps.local import processes
from fedtiny.sweeps.ray import on_ray, ray_executor
from fedtiny.sweeps.search import SearchOrder, run_search
from fedtiny.sweeps.search_space import search_space
from fedtiny.sweeps.sweep import cell_folder, run_sweep
from fedtiny.training.local_work import LocalWork, WorkFailed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is an optional extra: make ray"),
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module")
def address(two_nodes):
    with two_nodes() as (cluster, _):
        yield cluster.address


@pytest.fixture
def own(noting):
    return load_scenario(noting())


def packages(world, number):
    weights = world.flat.read()
    return [((0, LocalWork(weights + place / 8, 1, 3)), (1, LocalWork(weights, 1 + place, 2))) for place in range(number)]


def bits(results):
    return [[(one.weights.tobytes(), one.losses.tobytes()) for one in package] for package in results]


def test_both_nodes_train_and_packages_have_the_bytes_of_one_process_in_their_order(address, own, tmp_path):
    world = prepare(own, allow_code=True)
    wanted = packages(world, 24)
    with in_this_process()(world) as alone:
        expected = bits(alone.execute(wanted))
    with on_ray(address, allow_code=True)(prepare(own, allow_code=True)) as training:
        assert training.packages == 4
        results = training.execute(wanted)
        assert bits(results) == expected
        results[0][0].weights[0] = 1  # arrays of its own
        assert bits(training.execute(wanted[5:6])) == expected[5:6]
    assert len(list(tmp_path.glob("*.node"))) == 2


def test_a_run_has_the_same_bytes_on_the_cluster(address, tiny):
    scenario = load_scenario(tiny())
    plain, spread = run(scenario), run(scenario, training=on_ray(address))
    assert spread.rounds.equals(plain.rounds)
    assert spread.activities.equals(plain.activities)
    assert {name: value.tobytes() for name, value in spread.model.items()} == {name: value.tobytes() for name, value in plain.model.items()}


def test_what_a_client_raises_reaches_the_run_with_its_number(address, own):
    world = prepare(own, allow_code=True)
    weights = world.flat.read() + 100
    with pytest.raises(WorkFailed, match="too large") as raised, on_ray(address, allow_code=True)(world) as training:
        training.execute([((1, LocalWork(weights, 1, 1)),)])
    assert raised.value.client == 1


def test_another_world_is_refused_and_named(address, tiny):
    world = prepare(load_scenario(tiny()))
    world.flat.weights += 1
    with pytest.raises(ExperimentError, match=r"node .* another world than the run: network"), on_ray(address)(world) as training:
        training.execute(packages(world, 1))


def test_a_sweep_on_the_cluster_has_the_bytes_of_one_on_processes(address, tiny, tmp_path):
    sweep = cross(read_tree(tiny()), tmp_path, [parse_axis("network.latency=10 ms,1 s"), parse_axis("update=full,last")])
    with processes(2) as executor:
        here = run_sweep(sweep, tmp_path / "here", executor)
    with ray_executor(address, tmp_path / "there") as executor:
        there = run_sweep(sweep, tmp_path / "there", executor)
    assert there.cells.equals(here.cells)
    names = ("rounds.parquet", "activities.parquet", "devices.parquet", "model.safetensors", "scenario.yaml")
    for cell in sweep.cells:
        for name in names:
            assert (cell_folder(tmp_path / "here", cell) / name).read_bytes() == (cell_folder(tmp_path / "there", cell) / name).read_bytes()


def test_a_search_on_the_cluster_tries_what_it_tries_on_processes(address, tiny, tmp_path):
    pytest.importorskip("optuna")
    axes = [parse_axis("fleet.0.network.latency=10 ms,1 s"), parse_axis("training.local_steps=1..20:20")]
    space, order = search_space(read_tree(tiny()), tmp_path, axes), SearchOrder(objectives_of(["loss", "virtual_time"]), 15)
    with processes(2) as executor:
        here = run_search(space, order, tmp_path / "here", executor)
    with ray_executor(address, tmp_path / "there") as executor:
        there = run_search(space, order, tmp_path / "there", executor)
    assert there.cells.equals(here.cells)
