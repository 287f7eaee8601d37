"""A run without learning gives the activities of the run with learning, exactly."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fedtiny
from fedtiny.errors import InfeasibleError, RoundError, ScenarioError

ROOT = Path(__file__).parents[1]
SHARED = ("round", "virtual_time", "participants", "failures", "bytes_up", "bytes_down", "energy")

MIXED = """
name: mixed
model: linear
data: {kind: synthetic, examples: 67, test_examples: 4, classes: 3}
training: {batch_size: 5, local_steps: 4}
strategy: fedavg
fleet:
  - count: 3
    device: {kind: custom, memory: 1 GB, step_time: 100 ms, power: {idle: 1 W, active: 3 W}}
    network: {kind: custom, latency: 70 ms, downlink: 200 kbit/s, uplink: 50 kbit/s}
  - count: 3
    device: &slow
      kind: custom
      memory: 1 GB
      rates: {dense_gemm: 2 kMAC/s, dense_convolution: 2 kMAC/s, depthwise: 2 kMAC/s, recurrent: 2 kMAC/s}
      runtime: serial
      power: {idle: 100 mW, active: 200 mW}
    network: {kind: custom, latency: 300 ms, jitter: 100 ms, loss: 0.2, uplink: 30 kbit/s, energy_up: 2 nJ/B}
  - {count: 2, device: {kind: custom, memory: 1 GB, step_time: 150 ms, power: {idle: 1 W, active: 3 W}}, network: lte_driving}
stop: {rounds: 6}
"""


def scenario(tmp_path: Path, **overrides):
    file = tmp_path / "mixed.yaml"
    file.write_text(MIXED)
    return fedtiny.load_scenario(file, overrides)


def run_both(loaded):
    """The run with learning and the run without, or the error that each ends with."""
    return _outcome(loaded), _outcome(loaded.model_copy(update={"learning": "none"}))


def _outcome(loaded):
    try:
        return fedtiny.run(loaded)
    except RoundError as error:
        return str(error)


def assert_timed_alike(loaded):
    learned, timed = run_both(loaded)
    if isinstance(learned, str) or isinstance(timed, str):
        assert learned == timed
        return
    assert timed.activities.equals(learned.activities)
    assert timed.rounds.select(SHARED).equals(learned.rounds.select(SHARED))
    devices = learned.devices.drop_columns("label_examples")
    assert timed.devices.drop_columns("label_examples").equals(devices)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        *({"strategy": kind} for kind in ("fedmedian", "fedtrimmedavg", "fedavgm")),
        {"strategy.fraction_train": 0.4, "stop.rounds": 10},
        {"strategy.timeout": "1300 ms"},
        {"strategy.message_lifetime": "1500 ms", "strategy.fraction_train": 0.7},
        {"stop": {"virtual_time": "9 s"}},
        {"stop": {"virtual_time": "9 s", "rounds": 2}},
        {"stop.rounds": 0},
        {"training.batch_size": "all"},
        {"data.partition": {"kind": "dirichlet", "alpha": 0.5}},
        {"data.partition": {"kind": "sizes", "sigma": 1.0}, "training.batch_size": "all"},
        {"data.train_examples": 41},
        {"model": {"kind": "linear", "pretrained": {"steps": 1, "share": 0.3}}},
        {"training.precision": "float64"},
        {"server": {"downlink": "100 kbit/s", "uplink": "60 kbit/s"}},
        {"server": {"uplink": "60 kbit/s"}, "stop": {"virtual_time": "9 s"}},
        {"server": {"uplink": "40 kbit/s"}, "strategy": {"kind": "dga", "delay": 6}},
        {"network": {"access_point": {"devices": 2, "downlink": "90 kbit/s"}, "radio_states": {"inactivity": "1 s", "promotion": "0.4 s"}}},
        {"network": {"time_of_day": {"starts_at": 7.9995, "rates": [*[1.0] * 8, 0.25, *[1.0] * 15], "latencies": [3.0] * 24}}},
        {"network": {"latency": "0 s", "jitter": "0 s", "loss": 0.0, "downlink": "unlimited", "uplink": "unlimited"}},
    ],
    ids=str,
)
def test_activities_are_those_of_the_run_with_learning(tmp_path, overrides):
    assert_timed_alike(scenario(tmp_path, **overrides))


@pytest.mark.parametrize("delay", [0, 1, 4, 6, 13])
@pytest.mark.parametrize("late", ["carry", "drop"])
@pytest.mark.parametrize(
    "waiting",
    [
        {},
        {"timeout": "1500 ms", "fraction_train": 0.7},
        {"message_lifetime": "1700 ms", "fraction_train": 0.5},
        {"message_lifetime": "1700 ms", "timeout": "1400 ms"},
    ],
    ids=str,
)
def test_activities_of_dga_are_those_of_the_run_with_learning(tmp_path, delay, late, waiting):
    assert_timed_alike(scenario(tmp_path, strategy={"kind": "dga", "delay": delay, "late": late, **waiting}, **{"stop.rounds": 9}))


def with_dropout(loaded, dropout):
    return loaded.model_copy(update={"fleet": tuple(group.model_copy(update={"dropout": dropout}) for group in loaded.fleet)})


@pytest.mark.parametrize(
    "strategy",
    [
        {"kind": "fedavg", "timeout": "3 s"},
        {"kind": "fedavg", "message_lifetime": "6 s", "fraction_train": 0.8},
        {"kind": "dga", "delay": 6, "message_lifetime": "4 s"},
        {"kind": "dga", "delay": 3, "message_lifetime": "6 s", "timeout": "2 s", "late": "drop"},
        {"kind": "dga", "delay": 4, "message_lifetime": "5 s", "send": "early"},
    ],
    ids=str,
)
def test_the_same_devices_drop_out_of_a_run_with_learning(tmp_path, strategy):
    loaded = with_dropout(scenario(tmp_path, strategy=strategy, **{"stop.rounds": 9}), 0.25)
    assert_timed_alike(loaded)
    assert "dropped" in fedtiny.run(loaded.model_copy(update={"learning": "none"})).activities["outcome"].to_pylist()


@pytest.mark.parametrize(
    "strategy",
    [
        {"kind": "fedavg", "fraction_train": 0.5},
        {"kind": "dga", "delay": 6},
        {"kind": "dga", "delay": 3, "timeout": "30 s", "fraction_train": 0.6},
    ],
    ids=str,
)
def test_activities_of_nodes_that_poll_and_start_a_process_are_those_of_the_run_with_learning(tmp_path, strategy):
    device = {"runtime": "serial", "polling_interval": "3 s", "start_up": "4200 ms"}
    assert_timed_alike(scenario(tmp_path, strategy=strategy, device=device, **{"stop.rounds": 7}))


@pytest.mark.parametrize("delay", [0, 4, 8])
def test_activities_of_dga_that_sends_early_are_those_of_the_run_with_learning(tmp_path, delay):
    strategy = {"kind": "dga", "delay": delay, "send": "early", "timeout": "2 s", "fraction_train": 0.6}
    assert_timed_alike(scenario(tmp_path, strategy=strategy, **{"stop.rounds": 9}))


def small(memory: str, count: int):
    device = {"kind": "custom", "memory": memory, "step_time": "10 ms", "power": {"idle": "1 W", "active": "2 W"}}
    return {"count": count, "device": device, "network": {"kind": "custom", "latency": "1 ms"}}


def test_devices_that_training_does_not_fit_are_never_asked(tmp_path):
    loaded = scenario(
        tmp_path,
        model="small_cnn",
        on_out_of_memory="exclude",
        fleet=[small("12 kB", 2), small("1 GB", 3), small("12 kB", 1), small("1 GB", 2)],
        **{"strategy.fraction_train": 0.5},
    )
    assert_timed_alike(loaded)
    timed = fedtiny.run(loaded.model_copy(update={"learning": "none"}))
    assert set(timed.activities["device"].to_pylist()) == {2, 3, 4, 6, 7}


def test_a_mixed_fleet_sends_what_each_device_trains(tmp_path):
    kinds = [{"kind": "full"}, {"kind": "sparse", "biases": 2, "weights": {0: 1.0, 1: 0.5}}, {"kind": "bias"}]
    for strategy in ("fedavg", {"kind": "dga", "delay": 3}):
        fleet = [small("8 kB", 2), small("20 kB", 2), small("1 GB", 2)]
        loaded = scenario(tmp_path, model="small_cnn", update={"kind": "automatic", "candidates": kinds}, fleet=fleet, strategy=strategy)
        assert_timed_alike(loaded)
        sent = fedtiny.run(loaded.model_copy(update={"learning": "none"})).activities.to_pylist()
        assert len({row["payload_bytes"] for row in sent if row["kind"] == "upload"}) > 1


networks = st.fixed_dictionaries(
    {
        "kind": st.just("custom"),
        "latency": st.sampled_from(["0 s", "10 ms", "200 ms", "1 s"]),
        "jitter": st.sampled_from(["0 s", "50 ms"]),
        "loss": st.sampled_from([0.0, 0.3]),
        "uplink": st.sampled_from(["unlimited", "20 kbit/s"]),
    }
)
devices = st.fixed_dictionaries(
    {
        "kind": st.just("custom"),
        "memory": st.just("1 GB"),
        "step_time": st.sampled_from(["10 ms", "100 ms", "300 ms"]),
        "runtime": st.sampled_from(["overlapping", "serial"]),
        "power": st.just({"idle": "1 W", "active": "2 W"}),
    }
)
fleets = st.lists(st.fixed_dictionaries({"count": st.integers(1, 3), "device": devices, "network": networks}), min_size=1, max_size=3)
waits = st.fixed_dictionaries(
    {"fraction_train": st.sampled_from([0.3, 0.6, 1.0])},
    optional={"timeout": st.sampled_from(["500 ms", "1 s", "3 s"]), "message_lifetime": st.sampled_from(["700 ms", "2 s"])},
)
strategies = st.one_of(
    st.just({"kind": "fedavg"}),
    st.fixed_dictionaries(
        {"kind": st.just("dga"), "delay": st.integers(0, 9), "late": st.sampled_from(["carry", "drop"])},
    ),
)


@given(fleet=fleets, strategy=strategies, wait=waits, seed=st.integers(0, 1000), steps=st.integers(1, 4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_federations_are_timed_as_they_run(tmp_path, fleet, strategy, wait, seed, steps):
    overrides = {"training.local_steps": steps, "stop.rounds": 7, "seed": seed}
    assert_timed_alike(scenario(tmp_path, fleet=fleet, strategy={**strategy, **wait}, **overrides))


def test_a_client_that_missed_more_averages_than_the_server_keeps_is_brought_back_with_a_model(tmp_path):
    strategy = {"kind": "dga", "delay": 1, "fraction_train": 0.01}
    loaded = scenario(tmp_path, strategy=strategy, **{"stop.rounds": 420, "training.local_steps": 1, "fleet": [small("1 GB", 30)]})
    assert_timed_alike(loaded)


FILES = {
    "asynchronous": {"stop": {"rounds": 30}},
    "asynchronous, fedasync": {"strategy": "fedasync", "stop": {"rounds": 60}},
    "asynchronous, semi_synchronous": {"strategy": {"kind": "semi_synchronous", "fraction_train": 0.6}, "stop": {"rounds": 8}},
    "availability": {"stop": {"rounds": 6}},
    "availability, fedbuff": {"strategy": {"kind": "fedbuff", "buffer": 5}, "stop": {"rounds": 10}},
    "batteries": {"stop": {"virtual_time": "3 h"}},
    "batteries, fedbuff": {"strategy": {"kind": "fedbuff", "buffer": 5}, "stop": {"virtual_time": "3 h"}},
    "design_for_f746": {"stop": {"rounds": 2}, "model.pretrained": {"steps": 1}, "update": "last"},
    "dga_latency": {"stop": {"rounds": 8}},
    "dga_latency, fedavg": {"strategy": "fedavg", "network.latency": "100 ms", "stop": {"rounds": 3}},
    "keywords": {"stop": {"rounds": 3}},
    "latency_memory": {"update": "bias", "stop": {"rounds": 4}, "model.pretrained": {"steps": 1}},
    "mixed_fleet": {"stop": {"rounds": 3}, "model.pretrained": {"steps": 1, "classes": [5, 6], "share": 0.2}},
    "networks": {"stop": {"rounds": 2}},
    "networks, fedbuff": {"strategy": {"kind": "fedbuff", "buffer": 3}, "stop": {"rounds": 10}},
    "population": {"stop": {"rounds": 3}, "fleet.count": 20_000, "strategy.fraction_train": 0.001},
    "quickstart": {"stop": {"rounds": 2}, "model.pretrained": {"steps": 1, "share": 0.5}},
    "supernodes": {"stop": {"rounds": 20}},
    "text": {"stop": {"rounds": 1}},
}
SLOW_FILES = {
    **{f"tinytl_memory, {update}": {"update": update, "stop": {"rounds": 2}} for update in ("last", "bias", "tinytl", "full")},
    "papers/dga_correction": {"stop": {"rounds": 8}, "strategy": {"kind": "dga", "delay": 20, "correction": "in_upload"}},
    "papers/dga_drift": {"stop": {"rounds": 3}, "strategy": {"kind": "dga", "delay": 20}},
    "papers/dga_law": {"stop": {"rounds": 8}, "learning": "real", "strategy": {"kind": "dga", "delay": 20}},
    "papers/dga_limits": {"stop": {"rounds": 8}, "learning": "real", "strategy": {"kind": "dga", "delay": 20}},
    "papers/dga_raspberry_pi": {"stop": {"rounds": 8}, "learning": "real", "strategy": {"kind": "dga", "delay": 20}},
    "papers/dga_remedies": {"stop": {"rounds": 4}, "strategy": {"kind": "dga", "delay": "auto"}, "training.local_steps": 20},
    "papers/dga_time_to_target": {"stop": {"rounds": 3}, "strategy": {"kind": "fedbuff", "buffer": 5}},
    "papers/mixed_fleet": {"update": {"kind": "automatic", "candidates": ["full", "bias"]}, "stop": {"rounds": 3}},
    "papers/qas": {"stop": {"rounds": 2}},
    "papers/sparse_update": {"update": {"kind": "sparse", "scheme": "mcunet_5fps_49kb"}, "stop": {"rounds": 2}},
    "papers/tinytl": {"update": "bias", "stop": {"rounds": 1}, "training.local_steps": 2, "model.pretrained": {"steps": 1}},
}


def shortened(name: str, overrides):
    file = ROOT / "scenarios" / f"{name.partition(',')[0]}.yaml"
    text = file.read_text()
    if "pretrained: {" in text and "model.pretrained" not in overrides:
        overrides = {**overrides, "model.pretrained.steps": 1}
    return fedtiny.load_scenario(file, {**({"sweep": None} if "sweep:" in text else {}), **overrides})


@pytest.mark.parametrize("name", FILES)
def test_scenarios_of_the_repository_are_timed_as_they_run(name):
    assert_timed_alike(shortened(name, FILES[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW_FILES)
def test_larger_scenarios_of_the_repository_are_timed_as_they_run(name):
    assert_timed_alike(shortened(name, SLOW_FILES[name]))


def test_the_scenario_of_the_flower_app_is_timed_as_it_runs():
    assert_timed_alike(fedtiny.load_scenario(ROOT / "clients/dga-digits/scenario.yaml"))


def test_every_scenario_of_the_repository_is_compared():
    named = {name.partition(",")[0] for name in (*FILES, *SLOW_FILES)}
    found = {str(file.relative_to(ROOT / "scenarios").with_suffix("")) for file in (ROOT / "scenarios").rglob("*.yaml")}
    assert found == named


# --- what it refuses, and what it leaves out --------------------------------------------------------------------


def test_a_target_alone_never_ends_a_run_without_learning(tmp_path):
    loaded = scenario(tmp_path, learning="none", stop={"target_accuracy": 0.9})
    with pytest.raises(ScenarioError, match=r"target_accuracy alone never ends the run: give rounds or virtual_time"):
        fedtiny.run(loaded)


def test_what_does_not_fit_is_refused_as_by_the_run_with_learning(tmp_path):
    loaded = scenario(tmp_path, model="small_cnn", fleet=[small("1 GB", 2), small("12 kB", 2)])
    with pytest.raises(InfeasibleError) as learned:
        fedtiny.run(loaded)
    with pytest.raises(InfeasibleError) as timed:
        fedtiny.run(loaded.model_copy(update={"learning": "none"}))
    assert (str(timed.value), timed.value.path) == (str(learned.value), learned.value.path)


def test_a_run_without_learning_leaves_a_folder_that_is_read_and_drawn(tmp_path):
    result = fedtiny.run(scenario(tmp_path, learning="none"))
    fedtiny.write_run(result, tmp_path / "run")
    assert fedtiny.write_report([tmp_path / "run"], tmp_path / "run").is_file()
    assert result.model == {}
    assert {*result.rounds["accuracy"].to_pylist(), *result.rounds["loss"].to_pylist()} == {None}
    assert "learning: none" in (tmp_path / "run" / "scenario.yaml").read_text()


def test_nothing_is_observed_without_learning(tmp_path):
    with pytest.raises(ScenarioError, match="no weights to observe"):
        fedtiny.run(scenario(tmp_path, learning="none"), observe=lambda device, step, weights: None)
