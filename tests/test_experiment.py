"""A whole run: when it ends, what its tables say, and that the same scenario gives the same bytes."""

import itertools
import random

import numpy as np
import pyarrow.compute as pc
import pytest
import torch
from torch import nn

from fedtiny.errors import ClientError, InfeasibleError, ScenarioError
from fedtiny.experiment import pretrain, run
from fedtiny.models.given_network import given_network
from fedtiny.preparation import prepare
from fedtiny.results.record import ACTIVITIES, DEVICES, HOST_FIELDS, ROUNDS
from fedtiny.scenario.schema import Scenario
from fedtiny.training.evaluation import evaluate
from fedtiny.training.local import FlatNetwork


def group(count=1, *, latency="1 s", network=None, **device):
    """A fleet entry whose devices take 1 s for a step."""
    return {
        "count": count,
        "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s", **device},
        "network": {"kind": "custom", "latency": latency, **(network or {})},
    }


def scenario(**changes):
    """A linear model on made images, three devices; a round takes 2 steps of 1 s and a round trip of 2 s."""
    return Scenario.model_validate(
        {
            "name": "experiment",
            "model": {"kind": "linear"},
            "data": {"kind": "synthetic", "classes": 3, "examples": 60, "test_examples": 40, "image_size": 4},
            "training": {"local_steps": 2, "batch_size": 8, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
            "strategy": {"kind": "fedavg"},
            "fleet": [group(3)],
            "stop": {"rounds": 4},
            **changes,
        }
    )


STRATEGIES = [{"kind": "fedavg"}, {"kind": "dga", "delay": 0}, {"kind": "dga", "delay": 3}, {"kind": "dga", "delay": 2, "send": "early"}]


def rows(table, **wanted):
    return [row for row in table.to_pylist() if all(row[key] == value for key, value in wanted.items())]


# --- when a run ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_ends_after_its_rounds(strategy):
    result = run(scenario(strategy=strategy))
    assert result.rounds["round"].to_pylist() == [0, 1, 2, 3, 4]
    assert set(result.activities["outcome"].to_pylist()) == {"done"}
    assert pc.max(result.activities["end"]).as_py() == result.rounds["virtual_time"][-1].as_py()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_rounds_the_initial_model_is_all_there_is(strategy):
    result = run(scenario(strategy=strategy, stop={"rounds": 0}))
    (row,) = result.rounds.to_pylist()
    assert (row["round"], row["virtual_time"], row["participants"], row["failures"], row["bytes_up"], row["bytes_down"]) == (
        0,
        0.0,
        0,
        0,
        0,
        0,
    )
    assert row["accuracy"] is not None
    assert result.activities.num_rows == 0
    assert set(result.devices["status"].to_pylist()) == {"unused"}
    for name, value in prepare(scenario()).blueprint.network.state_dict().items():
        np.testing.assert_array_equal(result.model[name], value)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limit", [1.5, 6.5, 9.0])
def test_virtual_time_cuts_what_is_under_way(strategy, limit):
    whole, cut = (run(scenario(strategy=strategy, stop=stop)) for stop in ({"rounds": 9}, {"rounds": 9, "virtual_time": f"{limit} s"}))
    expected = [row for row in whole.rounds.to_pylist() if row["virtual_time"] <= limit]
    assert [(row["round"], row["virtual_time"]) for row in cut.rounds.to_pylist()] == [
        (row["round"], row["virtual_time"]) for row in expected
    ]
    assert pc.max(cut.activities["end"]).as_py() == limit
    under_way = [row for row in rows(whole.activities, kind="train") if row["start"] < limit < row["end"]]
    found = [row for row in rows(cut.activities, kind="train", outcome="cancelled") if row["start"] < limit]
    assert [(row["device"], row["round"], row["start"]) for row in found] == [
        (row["device"], row["round"], row["start"]) for row in under_way
    ]
    for before, after in zip(under_way, found, strict=True):
        share = (limit - before["start"]) / (before["end"] - before["start"])
        assert (after["end"], after["macs"]) == (limit, pytest.approx(share * before["macs"]))


def test_messages_that_have_not_arrived_at_the_end_are_cancelled():
    result = run(scenario(stop={"virtual_time": "4.5 s"}))
    last = rows(result.activities, kind="download", round=2)
    assert [(row["outcome"], row["arrival"]) for row in last] == [("cancelled", None)] * 3
    assert rows(result.activities, kind="train", round=2) == []


def test_a_run_with_time_only_goes_on_until_it_is_over():
    result = run(scenario(stop={"virtual_time": "41 s"}))
    assert result.rounds["round"].to_pylist() == list(range(11))
    assert result.summary["virtual_time"] == 40.0


def test_a_version_at_the_very_end_of_time_counts():
    assert run(scenario(stop={"virtual_time": "8 s"})).summary["rounds"] == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_ends_with_the_first_version_that_reaches_the_target(strategy):
    result = run(scenario(strategy=strategy, stop={"target_accuracy": 0.9}))
    accuracies = result.rounds["accuracy"].to_pylist()
    assert accuracies[-1] >= 0.9 > max(accuracies[:-1])
    assert result.summary["time_to_target"] == result.rounds["virtual_time"][-1].as_py()


def test_whatever_comes_first_ends_a_run():
    target = {"target_accuracy": 0.9}
    needed = run(scenario(stop=target)).summary["rounds"]
    assert run(scenario(stop={**target, "rounds": needed - 1})).summary["rounds"] == needed - 1
    assert run(scenario(stop={**target, "rounds": needed + 5})).summary["rounds"] == needed
    assert run(scenario(stop={"rounds": 5, "virtual_time": "9 s"})).summary["rounds"] == 2


@pytest.mark.parametrize(
    ("stop", "evaluated"), [({"rounds": 7}, [0, 3, 6, 7]), ({"virtual_time": "21 s"}, [0, 3, 5]), ({"rounds": 0}, [0])]
)
def test_the_first_and_the_last_version_are_evaluated_whatever_is_asked_for(stop, evaluated):
    result = run(scenario(stop=stop, evaluation={"every": 3}))
    known = [row["round"] for row in result.rounds.to_pylist() if row["accuracy"] is not None]
    assert known == evaluated
    assert known == [row["round"] for row in result.rounds.to_pylist() if row["loss"] is not None]


def test_a_scenario_with_axes_is_for_a_sweep():
    with pytest.raises(ScenarioError, match="fedtiny sweep") as caught:
        run(scenario(sweep={"seed": [1, 2]}))
    assert caught.value.path == ("sweep",)


# --- what the tables say --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_last_row_describes_the_model(strategy):
    result = run(scenario(strategy=strategy))
    world = prepare(scenario())
    network = world.blueprint.network
    network.load_state_dict({name: torch.from_numpy(value) for name, value in result.model.items()})
    quality = evaluate(FlatNetwork(network, world.blueprint.plan.trainable), world.test)
    last = result.rounds.to_pylist()[-1]
    assert (last["accuracy"], last["loss"]) == (quality.accuracy, quality.loss)


def test_tables_have_their_schemas():
    result = run(scenario())
    assert (result.rounds.schema, result.activities.schema, result.devices.schema) == (ROUNDS, ACTIVITIES, DEVICES)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_row_counts_the_bytes_of_the_transfers_that_made_it(strategy):
    # links with a rate, so that no transfer begins and ends at the moment of a version
    link = {"downlink": "1 kB/s", "uplink": "2 kB/s"}
    result = run(scenario(strategy=strategy, fleet=[group(2, network=link), group(1, latency="300 ms", network=link)]))
    for row in result.rounds.to_pylist():
        ended = [transfer for transfer in result.activities.to_pylist() if transfer["end"] <= row["virtual_time"]]
        assert row["bytes_up"] == sum(transfer["bytes"] for transfer in ended if transfer["kind"] == "upload")
        assert row["bytes_down"] == sum(transfer["bytes"] for transfer in ended if transfer["kind"] == "download")


@pytest.mark.parametrize("strategy", STRATEGIES[:2])
def test_what_a_version_sets_off_is_not_counted_to_it(strategy):
    result = run(scenario(strategy=strategy, fleet=[group(3, latency="0 s")]))
    rounds = result.rounds.to_pylist()
    assert rounds[0]["bytes_down"] == 0
    down = [row["bytes_down"] for row in rounds]
    assert np.ptp(np.diff(down)) <= 3 * 16, "every round moves the same, give or take the digits of its number"


def test_a_row_counts_who_took_part_and_who_did_not():
    slow = group(1, latency="50 s")
    result = run(scenario(strategy={"kind": "fedavg", "timeout": "10 s"}, fleet=[group(2), slow], stop={"rounds": 3}))
    assert [(row["participants"], row["failures"]) for row in result.rounds.to_pylist()] == [(0, 0)] + [(2, 1)] * 3
    assert result.summary["failures"] == 3
    assert result.summary["participants"] == 2
    late = run(scenario(strategy={"kind": "fedavg", "timeout": "10 s"}, fleet=[group(2), slow], stop={"rounds": 12}))
    assert {row["outcome"] for row in rows(late.activities, device=2, kind="upload")} == {"late", "cancelled"}


def test_energy_is_power_times_time_and_joules_per_byte():
    power = {"idle": "1 W", "active": "3 W"}
    link = {"uplink": "1 kB/s", "energy_up": "2 mJ/B", "energy_down": "1 mJ/B"}
    result = run(scenario(fleet=[group(1, power=power, network=link)], stop={"rounds": 2}))
    duration, trained = result.summary["virtual_time"], 2 * 2 * 1.0
    up, down = result.summary["bytes_up"], result.summary["bytes_down"]
    expected = 3 * trained + 1 * (duration - trained) + 2e-3 * up + 1e-3 * down
    assert duration == pytest.approx(2 * (2 + 2) + up / 1000)
    assert result.summary["energy"] == pytest.approx(expected)
    assert result.devices["energy"].to_pylist() == [pytest.approx(expected)]
    assert result.rounds["energy"][0].as_py() == 0.0
    first = result.rounds.to_pylist()[1]
    assert first["energy"] == pytest.approx(3 * 2 + (duration / 2 - 2) + 2e-3 * up / 2 + 1e-3 * down / 2, rel=1e-2)


def test_a_fleet_with_a_device_of_unknown_power_has_no_energy():
    result = run(scenario(fleet=[group(1, power={"idle": "1 W", "active": "3 W"}), group(1)], stop={"rounds": 1}))
    assert result.summary["energy"] is None
    assert result.rounds["energy"].to_pylist() == [None, None]
    known, unknown = result.devices["energy"].to_pylist()
    assert (known, unknown) == (pytest.approx(3 * 2 + 1 * 2), None)
    without_rounds = run(scenario(fleet=[group(1, power={"idle": "1 W", "active": "3 W"}), group(1)], stop={"rounds": 0}))
    assert without_rounds.devices["energy"].to_pylist() == [0.0, None]
    assert "Radio energy is not counted on custom: its joules per byte are not known." in result.notes


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_included_processor_works_stalls_or_idles_all_the_time(strategy):
    fleet = [group(2, network={"jitter": "500 ms"}), group(2, latency="300 ms", step_time="300 ms")]
    result = run(scenario(strategy={**strategy, "fraction_train": 0.5}, fleet=fleet, stop={"rounds": 6}))
    end = result.rounds["virtual_time"][-1].as_py()
    for device in range(4):
        spans = sorted(
            (row["start"], row["end"]) for row in rows(result.activities, device=device) if row["kind"] in ("train", "stall", "idle")
        )
        assert sum(stop - start for start, stop in spans) == pytest.approx(end)
        assert all(before[1] <= after[0] + 1e-12 for before, after in itertools.pairwise(spans))
        row = rows(result.devices, device=device)[0]
        for kind in ("stall", "idle"):
            seconds = sum(span["end"] - span["start"] for span in rows(result.activities, device=device, kind=kind))
            assert row[f"{kind}_time"] == pytest.approx(seconds)
        assert row["rounds"] == len({span["round"] for span in rows(result.activities, device=device, kind="train", outcome="done")})
    assert all(row["round"] is None for row in rows(result.activities, kind="idle"))


def test_dga_stalls_less_than_fedavg():
    stalls = {
        strategy["kind"]: sum(run(scenario(strategy=strategy, stop={"rounds": 20})).devices["stall_time"].to_pylist())
        for strategy in ({"kind": "fedavg"}, {"kind": "dga", "delay": 3})
    }
    assert stalls["dga"] < 0.2 * stalls["fedavg"]


def test_the_summary_is_the_last_row():
    result = run(scenario())
    last = result.rounds.to_pylist()[-1]
    assert {key: result.summary[key] for key in ("virtual_time", "accuracy", "loss", "bytes_up", "bytes_down")} == {
        key: last[key] for key in ("virtual_time", "accuracy", "loss", "bytes_up", "bytes_down")
    }
    assert (result.summary["rounds"], result.summary["lost_mass"]) == (4, 0.0)


# --- memory ---------------------------------------------------------------------------------------------------------


def test_a_device_that_training_does_not_fit_is_left_out_with_its_data():
    small = group(1, memory="500 B")
    result = run(scenario(on_out_of_memory="exclude", fleet=[group(1), small, group(1)]))
    statuses = result.devices["status"].to_pylist()
    assert statuses == ["trained", "excluded", "trained"]
    excluded = result.devices.to_pylist()[1]
    assert (excluded["scheme"], excluded["rounds"], excluded["memory_budget"], excluded["examples"]) == (None, 0, 500, 20)
    assert excluded["peak_memory"] > 500
    assert set(result.activities["device"].to_pylist()) == {0, 2}
    assert set(result.rounds["participants"].to_pylist()[1:]) == {2}
    assert any("does not fit 1 of 3 devices" in note for note in result.notes)
    assert [need["fits"] for need in result.memory] == [True, False, True]


def test_a_device_that_training_does_not_fit_can_end_the_run_before_it_starts():
    with pytest.raises(InfeasibleError, match="custom offers 500 B") as caught:
        run(scenario(fleet=[group(1), group(1, memory="500 B")]))
    assert caught.value.path == ("fleet", 1)


# --- the same scenario gives the same bytes -------------------------------------------------------------------------


def same(first, second):
    assert first.rounds.equals(second.rounds)
    assert first.activities.equals(second.activities)
    assert first.devices.equals(second.devices)
    assert first.model.keys() == second.model.keys()
    for name, value in first.model.items():
        np.testing.assert_array_equal(value, second.model[name])
    assert first.summary == second.summary
    assert first.scenario_yaml == second.scenario_yaml
    assert (first.notes, first.memory, first.citations) == (second.notes, second.memory, second.citations)
    assert {key: value for key, value in first.provenance.items() if key not in HOST_FIELDS} == {
        key: value for key, value in second.provenance.items() if key not in HOST_FIELDS
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_scenario_gives_the_same_result_twice(strategy):
    changes = {"strategy": {**strategy, "fraction_train": 0.7}, "fleet": [group(4, network={"jitter": "500 ms", "loss": 0.2})], "seed": 3}
    first = run(scenario(**changes))
    torch.manual_seed(99)
    random.seed(99)
    np.random.default_rng(99)
    same(first, run(scenario(**changes)))


def test_another_seed_gives_another_result():
    first, second = (run(scenario(seed=seed)).model for seed in (1, 2))
    assert any((first[name] != second[name]).any() for name in first)


def test_a_run_leaves_torch_as_it_was():
    torch.manual_seed(5)
    before, threads, level = torch.get_rng_state(), torch.get_num_threads(), torch.is_grad_enabled()
    run(scenario(model=given_network(Dropping), stop={"rounds": 1}))
    assert torch.equal(torch.get_rng_state(), before)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == (threads, level)


@pytest.mark.parametrize("batch_size", [1, 7, 20, 1000, "all"])
def test_any_batch_size_trains(batch_size):
    result = run(scenario(training={"local_steps": 3, "batch_size": batch_size}, fleet=[group(3)], stop={"rounds": 2}))
    macs = rows(result.activities, kind="train", device=0, round=1)[0]["macs"]
    sizes = {1: 3, 7: 20, 20: 60, 1000: 60, "all": 60}
    per_example = 2 * 16 * 3
    assert macs == sizes[batch_size] * per_example


def test_all_the_data_in_a_batch_is_the_data_of_each_client():
    parts = {"kind": "sizes", "sizes": [10, 20, 30]}
    data = {**scenario().data.to_plain(), "partition": parts}
    result = run(scenario(data=data, training={"local_steps": 1, "batch_size": "all"}, stop={"rounds": 1}))
    assert result.devices["examples"].to_pylist() == [10, 20, 30]
    assert [row["macs"] / 96 for row in rows(result.activities, kind="train")] == [10, 20, 30]


# --- own code -------------------------------------------------------------------------------------------------------


class Dropping(nn.Module):
    """A network that draws random numbers while it trains."""

    def __init__(self, input_shape, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, classes))

    def forward(self, inputs):
        return self.layers(inputs)


class Failing(nn.Module):
    """A network that raises on the seventh batch it trains on."""

    def __init__(self, input_shape, classes):
        super().__init__()
        self.layers, self.batches = nn.Sequential(nn.Flatten(), nn.Linear(16, classes)), 0

    def forward(self, inputs):
        return self.layers(inputs)

    def loss(self, inputs, targets):
        self.batches += self.training
        if self.batches == 7:
            raise FloatingPointError("overflow in a client")
        return nn.functional.cross_entropy(self(inputs), targets)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_network_with_dropout_gives_the_same_result_twice(strategy):
    wanted = scenario(model=given_network(Dropping), strategy=strategy)
    first = run(wanted)
    torch.manual_seed(1)
    same(first, run(wanted))
    without = run(scenario(strategy=strategy))
    assert len(without.model) == len(first.model)


@pytest.mark.parametrize(("strategy", "number"), [(STRATEGIES[0], 2), (STRATEGIES[1], 2)])
def test_a_client_that_raises_ends_the_run_and_is_named(strategy, number):
    # three clients of two steps each: the seventh batch is the first of round 2, on the device that is first
    with pytest.raises(
        ClientError, match=rf"device 0 \(custom\) failed in round {number}: FloatingPointError: overflow in a client"
    ) as caught:
        run(scenario(model=given_network(Failing), strategy=strategy))
    assert "Traceback" not in str(caught.value)


# --- what is told on the way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_observer_sees_every_step_of_every_client_once_and_in_order(strategy):
    seen = []
    run(scenario(strategy=strategy), observe=lambda device, step, weights: seen.append((device, step, weights)))
    awaits = strategy.get("send") == "early" or strategy.get("delay") == 0
    for device in range(3):
        assert [step for who, step, _ in seen if who == device] == list(range(1, 8 if awaits else 9))
    assert set(seen[0][2]) == {"head.weight", "head.bias"}
    assert seen[0][2]["head.weight"].shape == (3, 16)


def test_watching_a_run_does_not_change_it():
    same(run(scenario(strategy=STRATEGIES[2])), run(scenario(strategy=STRATEGIES[2]), observe=lambda *_: None, progress=lambda _: None))


def test_progress_is_told_of_every_version():
    told = []
    result = run(scenario(), progress=told.append)
    assert [(step.phase, step.done, step.total) for step in told] == [("rounds", number, 4) for number in range(5)]
    assert [step.virtual_time for step in told] == result.rounds["virtual_time"].to_pylist()
    assert [step.accuracy for step in told] == result.rounds["accuracy"].to_pylist()


def test_progress_is_told_of_pretraining(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDTINY_CACHE", str(tmp_path))
    told = []
    pretrain(scenario(model={"kind": "linear", "pretrained": {"steps": 3}}), tmp_path / "start.safetensors", progress=told.append)
    assert [(step.phase, step.done, step.total) for step in told] == [("pre-training", number, 3) for number in (1, 2, 3)]
    assert (tmp_path / "start.safetensors").exists()


def test_provenance_names_versions_seed_and_platform():
    provenance = run(scenario(seed=11, stop={"rounds": 0})).provenance
    assert provenance["seed"] == 11
    assert set(provenance["versions"]) == {"fedtiny", "flwr", "numpy", "pyarrow", "simpy", "torch"}
    assert set(HOST_FIELDS) < set(provenance)
