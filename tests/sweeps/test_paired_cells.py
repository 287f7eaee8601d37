"""Common random numbers: the cells of one seed see the same devices, data, latencies and dropouts, whatever else differs."""

import pyarrow.compute as pc
import pytest

from fedtiny.reports.pairing import pairings
from fedtiny.reports.sweep_tables import paired_table
from fedtiny.results.folder import read_run
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis
from fedtiny.sweeps.local import no_further
from fedtiny.sweeps.sweep import cell_folder, run_sweep

SCENARIO = """\
name: lucky
seed: 3
model: linear
data: {kind: digits, train_examples: 200, partition: {kind: dirichlet, alpha: 0.3}}
training: {batch_size: 8, local_steps: 2}
strategy: {kind: fedavg, message_lifetime: 20 s}
fleet:
  - count: 3
    device: {kind: custom, memory: 10 MB, step_time: 100 ms}
    network: {kind: custom, latency: 50 ms, jitter: 10 ms, uplink: 1 Mbit/s, loss: 0.1}
  - {count: 2, device: {kind: custom, memory: 5 MB, step_time: 300 ms}, network: lte_driving, dropout: 0.3}
stop: {rounds: 12, target_accuracy: 0.2}
"""


class Here:
    """An executor in this process."""

    at_once = 1

    def __call__(self, work, jobs, lost, then=no_further):
        waiting = list(jobs)
        while waiting:
            result = work(waiting.pop(0))
            waiting = [*then(result), *waiting]
            yield result


@pytest.fixture
def swept(tmp_path):
    """Runs a sweep of the scenario over some axes with three seeds: its result and, by its labels and seed, the run of every cell."""

    def sweep(*axes):
        path = tmp_path / "lucky.yaml"
        path.write_text(SCENARIO, encoding="utf-8")
        crossed = cross(read_tree(path), tmp_path, list(map(parse_axis, axes)), 3)
        result = run_sweep(crossed, tmp_path / "sweep", Here())
        runs = {(*cell.labels.values(), cell.scenario.seed): read_run(cell_folder(tmp_path / "sweep", cell)) for cell in crossed.cells}
        return result, runs

    return sweep


def delays(run, kind):
    """By device, the seconds between the end and the arrival of its transfers of a kind, in their order."""
    chosen = run.activities.filter(pc.and_(pc.equal(run.activities["kind"], kind), pc.equal(run.activities["outcome"], "done"))).to_pylist()
    found = {}
    for row in sorted(chosen, key=lambda row: row["start"]):
        found.setdefault(row["device"], []).append(row["arrival"] - row["end"])
    return found


def trained(run):
    """Which devices trained in which rounds: the others had dropped out."""
    return {(row["device"], row["round"]) for row in run.activities.to_pylist() if row["kind"] == "train"}


FEDAVG, UNIFORM, DGA = (f"{{kind: {kind}, message_lifetime: 20 s}}" for kind in ("fedavg", "fedavg, weighting: uniform", "dga, delay: 0"))
STRATEGIES = f"strategy={FEDAVG},{UNIFORM},{DGA}"
OF_THE_FLEET = ["device", "group", "profile", "network", "memory_budget", "examples", "label_examples"]


def test_all_cells_of_a_seed_have_the_same_devices_with_the_same_data(swept):
    _, runs = swept(STRATEGIES, "network.latency=10 ms,1 s")
    fleets = {}
    for (_, _, seed), run in runs.items():
        fleets.setdefault(seed, []).append(run.devices.select(OF_THE_FLEET))
    assert all(fleet.equals(of_seed[0]) for of_seed in fleets.values() for fleet in of_seed)
    assert not fleets[3][0]["label_examples"].equals(fleets[4][0]["label_examples"])


@pytest.mark.parametrize("kind", ["download", "upload"])
def test_all_cells_of_a_seed_have_the_same_latencies(swept, kind):
    _, runs = swept(STRATEGIES)
    for seed in (3, 4, 5):
        first = delays(runs[FEDAVG, seed], kind)
        assert sum(map(len, first.values())) > 10
        for strategy in (UNIFORM, DGA):
            other = delays(runs[strategy, seed], kind)
            for device in first.keys() & other.keys():
                assert all(mine == pytest.approx(theirs, abs=1e-9) for mine, theirs in zip(first[device], other[device], strict=False))
    assert delays(runs[FEDAVG, 3], kind)[0][0] != delays(runs[FEDAVG, 4], kind)[0][0]


def test_all_cells_of_a_seed_have_the_same_dropouts(swept):
    _, runs = swept(STRATEGIES, "stop.target_accuracy=0.99")
    for seed in (3, 4, 5):
        assert trained(runs[FEDAVG, "0.99", seed]) == trained(runs[UNIFORM, "0.99", seed]) == trained(runs[DGA, "0.99", seed])
    assert trained(runs[FEDAVG, "0.99", 3]) != trained(runs[FEDAVG, "0.99", 4])
    assert len(trained(runs[FEDAVG, "0.99", 3])) < 5 * 12


def test_a_scenario_against_itself_differs_by_exactly_nothing(swept, tmp_path):
    again = "{kind: fedavg, message_lifetime: 20 s, fraction_train: 1.0}"
    result, _ = swept(f"strategy={FEDAVG},{again}", "network.latency=10 ms,1 s")
    assert result.cells.num_rows == 12
    assert len(list((tmp_path / "sweep" / "cells").iterdir())) == 6  # the same run in other words is done once
    check_nothing(result)


def test_what_changes_nothing_differs_by_exactly_nothing_though_it_is_run(swept, tmp_path):
    result, _ = swept(f"strategy={FEDAVG},{{kind: fedavg, message_lifetime: 21 s}}")
    assert len(list((tmp_path / "sweep" / "cells").iterdir())) == 6
    check_nothing(result, but=("virtual_time", "energy", "area_under_curve"), times=False)


def check_nothing(result, but=(), times=True):
    (pairing,) = pairings(result)
    for pair in pairing.pairs:
        assert pair.seeds == (3, 4, 5)
        assert (pair.difference("accuracy").mean, pair.difference("accuracy").half_width) == (0.0, 0.0)
        gain = pair.times_sooner()
        assert not times or (gain.mean, gain.low, gain.high) == (1.0, 1.0, 1.0)
        for column in {"virtual_time", "bytes_up", "energy", "area_under_curve"} - {*but}:
            known = [one.known(column) for one in (pair.first, pair.other)]
            assert known[0] == known[1]
    assert {row[-5] for row in paired_table(result).rows} == {"0.0 ± 0.0"}
    assert not times or {row[-4:-1] for row in paired_table(result).rows} == {("1", "1", "1")}
