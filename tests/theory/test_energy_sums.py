"""Every joule is in an activity: what a device's activities cost adds up to what the device costs, and devices to the run."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fedtiny
from fedtiny.plan import plan

FOLDER = Path(__file__).parents[2] / "scenarios"
SPECIAL = {
    "population": {"fleet.count": 20_000, "strategy.fraction_train": 0.001},
    "papers/dga_remedies": {"training.local_steps": 20},
}
FILES = sorted(str(file.relative_to(FOLDER).with_suffix("")) for file in FOLDER.rglob("*.yaml"))

SCENARIO = """
name: sums
model: linear
data: {kind: synthetic, examples: 40, test_examples: 4, classes: 2}
strategy: fedavg
learning: none
training: {local_steps: 4}
fleet:
  - {count: 1, device: {kind: custom, memory: 1 GB, step_time: 1 s, power: {idle: 1 W, active: 3 W}}, network: {kind: custom, latency: 0 s}}
stop: {rounds: 1}
"""


def loaded(tmp_path, text=SCENARIO, **overrides):
    file = tmp_path / "sums.yaml"
    file.write_text(text)
    return fedtiny.load_scenario(file, overrides)


def joules_by_device(result):
    """Joules of each listed device, from its activities; nan where one is unknown."""
    sums = dict.fromkeys(result.devices["device"].to_pylist(), 0.0)
    for row in result.activities.select(["device", "energy"]).to_pylist():
        sums[row["device"]] += np.nan if row["energy"] is None else row["energy"]
    return sums


def assert_sums(result):
    sums = joules_by_device(result)
    for row in result.devices.select(["device", "energy"]).to_pylist():
        assert row["energy"] is None or row["energy"] == pytest.approx(sums[row["device"]], rel=1e-9)
    total, known = result.summary["energy"], all(np.isfinite(joules) for joules in sums.values())
    assert (total is not None) == known
    assert total == result.rounds["energy"].to_pylist()[-1]
    last, end = result.summary["virtual_time"], max(result.activities["end"].to_pylist(), default=0.0)
    if known and end <= last:
        assert total == pytest.approx(sum(sums.values()), rel=1e-9)
    elif known:
        # what was done after the last version is no version's
        assert total <= sum(sums.values()) * (1 + 1e-9)
    return total


@pytest.mark.parametrize("name", FILES)
def test_activities_of_every_scenario_add_up(name):
    file = FOLDER / f"{name}.yaml"
    text = file.read_text()
    general = {"learning": "none", "stop": {"rounds": 3}, **({"sweep": None} if "sweep:" in text else {})}
    general |= {"model.pretrained.steps": 1} if "pretrained: {" in text else {}
    scenario = fedtiny.load_scenario(file, {**general, **SPECIAL.get(name, {})})
    total = assert_sums(fedtiny.run(scenario))
    assert plan(scenario).document["energy"] == (None if total is None else pytest.approx(total, rel=1e-9))


def test_one_device_with_a_radio_that_sleeps_by_hand(tmp_path):
    size = fedtiny.run(loaded(tmp_path)).summary["bytes_down"]
    states = {"inactivity": "2.5 s", "promotion": "0.5 s", "promotion_power": "7 W", "tail_power": "5 W"}
    network = {"downlink": f"{2 * size} B/s", "uplink": f"{2 * size} B/s", "energy_down": "10 nJ/B", "energy_up": "30 nJ/B"}
    scenario = loaded(tmp_path, **{"fleet.0.network": {"kind": "custom", "latency": "1 s", "radio_states": states, **network}})
    result = fedtiny.run(scenario)
    # wakes 0.5 s, download 0.5 s, on its way 1 s, trains 4 s, wakes 0.5 s, upload 0.5 s, on its way 1 s
    bytes_up = result.summary["bytes_up"]
    uploading = bytes_up / (2 * size)
    end = 7.5 + uploading
    expected = {
        "promotion": 7 * (0.5 + 0.5),
        "download": 10e-9 * size,
        "stall": 1 * (2 + 0.5 + uploading + 1),
        "train": 3 * 4,
        "upload": 30e-9 * bytes_up,
        "tail": 5 * (2.5 + 1),
    }
    assert result.summary["virtual_time"] == pytest.approx(end)
    assert by_kind(result) == pytest.approx(expected, rel=1e-9)
    assert assert_sums(result) == pytest.approx(sum(expected.values()), rel=1e-9)
    assert plan(scenario).document["energy"] == pytest.approx(sum(expected.values()), rel=1e-9)


def test_a_device_that_leaves_by_hand(tmp_path):
    size = fedtiny.run(loaded(tmp_path)).summary["bytes_down"]
    states = {"inactivity": "2.5 s", "promotion": "0.5 s", "promotion_power": "7 W", "tail_power": "5 W"}
    network = {"kind": "custom", "latency": "0 s", "radio_states": states, "downlink": f"{2 * size} B/s", "uplink": "unlimited"}
    leaves = {"kind": "duty_cycle", "on": "3 s", "off": "2 s", "phase": "0 s"}
    scenario = loaded(tmp_path, **{"fleet.0.network": network, "fleet.0.availability": leaves, "stop": {"virtual_time": "9 s"}})
    result = fedtiny.run(scenario)
    # awake and downloaded at 1, trains to 3 and from 5 to 7, awake at 7.5, uploads and downloads at once to 8, leaves with its work to do
    expected = {
        "promotion": 7 * (0.5 + 0.5),
        "download": 0.0,
        "upload": 0.0,
        "train": 3 * 4,
        "stall": 1 * (1 + 1),
        "tail": 5 * 2,
        "offline": 0.0,
    }
    assert by_kind(result) == pytest.approx(expected, rel=1e-9)
    assert sum(joules_by_device(result).values()) == pytest.approx(sum(expected.values()), rel=1e-9)
    assert_sums(result)
    assert plan(scenario).document["energy"] == pytest.approx(result.summary["energy"], rel=1e-9)


def test_a_device_that_nobody_asks_idles(tmp_path):
    scenario = loaded(tmp_path, **{"fleet.0.count": 2, "strategy.fraction_train": 0.5})
    spent = by_kind(fedtiny.run(scenario))
    assert spent == pytest.approx({"download": 0.0, "train": 12.0, "upload": 0.0, "idle": 4.0})


def test_a_tail_of_unknown_power_makes_the_energy_unknown(tmp_path):
    states = {"inactivity": "2 s", "promotion": "0.5 s", "promotion_power": "7 W"}
    scenario = loaded(tmp_path, **{"fleet.0.network": {"kind": "custom", "latency": "0 s", "radio_states": states}})
    result = fedtiny.run(scenario)
    assert (result.summary["energy"], result.devices["energy"].to_pylist()) == (None, [None])
    assert plan(scenario).document["energy"] is None


def test_what_the_last_version_set_off_is_not_planned_for_it_either(tmp_path):
    network = {"kind": "custom", "latency": "0 s", "energy_down": "3 uJ/B"}
    scenario = loaded(
        tmp_path, **{"fleet.0.network": network, "strategy": {"kind": "fedbuff", "buffer": 1}, "stop": {"virtual_time": "9 s"}}
    )
    total = assert_sums(fedtiny.run(scenario))
    # two pieces of work are done at 8 s, and the message of the third is there at that moment
    size = fedtiny.run(loaded(tmp_path)).summary["bytes_down"]
    assert total == pytest.approx(2 * (4 * 3 + 3e-6 * size), rel=1e-9)
    assert plan(scenario).document["energy"] == pytest.approx(total, rel=1e-12)


def by_kind(result):
    spent = {}
    for row in result.activities.to_pylist():
        spent[row["kind"]] = spent.get(row["kind"], 0.0) + row["energy"]
    return spent


devices = st.fixed_dictionaries(
    {
        "kind": st.just("custom"),
        "memory": st.just("1 GB"),
        "step_time": st.sampled_from(["100 ms", "1 s"]),
        "power": st.just({"idle": "1 W", "active": "2 W"}),
    },
    optional={"runtime": st.just("serial")},
)
networks = st.fixed_dictionaries(
    {
        "kind": st.just("custom"),
        "latency": st.sampled_from(["0 s", "200 ms"]),
        "loss": st.sampled_from([0.0, 0.3]),
        "uplink": st.sampled_from(["unlimited", "1 kB/s"]),
        "energy_up": st.just("3 uJ/B"),
    },
    optional={
        "radio_states": st.fixed_dictionaries(
            {
                "inactivity": st.sampled_from(["300 ms", "2 s", "10 s"]),
                "promotion": st.sampled_from(["0 s", "400 ms"]),
                "promotion_power": st.just("2 W"),
                "tail_power": st.just("1 W"),
            }
        )
    },
)
groups = st.fixed_dictionaries(
    {"count": st.integers(1, 3), "device": devices, "network": networks},
    optional={
        "availability": st.fixed_dictionaries(
            {"kind": st.just("markov"), "mean_on": st.sampled_from(["1 s", "5 s"]), "mean_off": st.just("2 s")},
            optional={"on_leave": st.just("fail"), "resume_transfers": st.just(False)},
        )
    },
)
strategies = st.sampled_from([{"kind": "fedavg", "timeout": "9 s"}, {"kind": "fedbuff", "buffer": 2}, {"kind": "dga", "delay": 5}])
stops = st.sampled_from([{"rounds": 3}, {"virtual_time": "7 s"}])


@given(fleet=st.lists(groups, min_size=1, max_size=2), strategy=strategies, stop=stops, seed=st.integers(0, 99))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_activities_of_any_federation_add_up(tmp_path, fleet, strategy, stop, seed):
    scenario = loaded(tmp_path, fleet=fleet, strategy=strategy, stop=stop, seed=seed)
    try:
        result = fedtiny.run(scenario)
    except fedtiny.errors.RoundError:
        return
    total = assert_sums(result)
    assert plan(scenario).document["energy"] == pytest.approx(total, rel=1e-9)
