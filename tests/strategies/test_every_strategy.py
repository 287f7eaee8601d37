"""What holds of every strategy that a scenario can name: it learns, twice the same, on whom it asks, as planned, and says whose it is.

A new strategy is in these tests as soon as it is registered; keys that it cannot do without stand in NEEDED.
"""

from functools import cache
from inspect import cleandoc

import numpy as np
import pytest
import yaml

import fedtiny
from fedtiny.preparation import check
from fedtiny.scenario.catalog import catalog_entry
from fedtiny.scenario.choices import FAMILIES
from fedtiny.scenario.citations import citations_of
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario
from fedtiny.strategies.synchronous import FlowerRounds

KINDS = {part.model_fields["kind"].default: part for part in FAMILIES["strategies"]}

# What a strategy is tried with: keys that it requires, and others that this small problem wants.
NEEDED = {
    "dga": {"delay": 3},
    "fedprox": {"proximal_mu": 0.1},
    "multikrum": {"num_malicious_nodes": 1, "num_nodes_to_select": 3},
    "krum": {"num_malicious_nodes": 1},
    "private_fedavg": {"noise_multiplier": 0.1, "clipping": {"kind": "fixed", "clipping_norm": 1.0}},
}
VARIANTS = {
    "private_fedavg, by clients": (
        "private_fedavg",
        {"noise_multiplier": 0.1, "clipping": {"kind": "fixed", "clipping_norm": 1.0, "where": "client"}},
    ),
    "private_fedavg, adaptive": (
        "private_fedavg",
        {"noise_multiplier": 0.1, "clipping": {"kind": "adaptive", "initial_clipping_norm": 1.0}},
    ),
    "dga, early": ("dga", {"delay": 6, "send": "early"}),
}
CASES = {kind: (kind, NEEDED.get(kind, {})) for kind in KINDS} | VARIANTS

# Where a version of the model is not a round of those who were asked, a share of the devices works at any time.
WITHOUT_ROUNDS = {"fedasync", "fedbuff"}

FLEET = [
    {"count": 4, "device": {"kind": "custom", "memory": "1 GB", "step_time": "100 ms"}, "network": {"kind": "custom", "latency": "50 ms"}},
    {
        "count": 4,
        "device": {"kind": "custom", "memory": "1 GB", "step_time": "130 ms"},
        "network": {"kind": "custom", "latency": "80 ms", "jitter": "20 ms", "uplink": "1 Mbit/s"},
    },
]
PLAIN = {
    "name": "every_strategy",
    "seed": 3,
    "model": {"kind": "linear"},
    "data": {"kind": "synthetic", "examples": 160, "test_examples": 80, "classes": 3, "image_size": 6},
    "training": {"batch_size": 8, "local_steps": 3, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
    "fleet": FLEET,
    "stop": {"rounds": 3},
}


@cache
def scenario(case, **changes):
    kind, keys = CASES[case]
    return Scenario.model_validate({**PLAIN, "strategy": {"kind": kind, **keys, **changes}})


@cache
def result(case, **changes):
    return fedtiny.run(scenario(case, **changes))


def column(found, name):
    return found.rounds[name].to_pylist()


def at_once(found):
    """The most devices that train at one time."""
    work = [row for row in found.activities.to_pylist() if row["kind"] == "train"]
    return max(sum(row["start"] <= moment["start"] < row["end"] for row in work) for moment in work)


every_case = pytest.mark.parametrize("case", CASES)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_case
def test_it_learns(case):
    loss = column(result(case), "loss")
    assert len(loss) == 4
    assert loss[-1] < 0.98 * loss[0]


@every_case
def test_it_is_the_same_twice(case):
    first, second = result(case), fedtiny.run(scenario(case))
    for name, values in first.model.items():
        assert values.tobytes() == second.model[name].tobytes()
        assert values.dtype == np.float32
    assert first.activities.equals(second.activities)
    assert first.rounds.equals(second.rounds)


@every_case
def test_it_says_its_bytes(case):
    found = result(case)
    elements = sum(values.size for values in found.model.values())
    sent = [row for row in found.activities.to_pylist() if row["kind"] in ("upload", "download")]
    assert {row["payload_bytes"] for row in sent} <= {0, 4 * elements}
    assert column(found, "bytes_up")[-1] >= 3 * 4 * elements
    assert column(found, "bytes_down")[-1] >= 3 * 4 * elements


@every_case
def test_it_learns_from_some_of_the_devices(case):
    found = result(case, fraction_train=0.63)
    together = at_once(found) if CASES[case][0] in WITHOUT_ROUNDS else max(column(found, "participants"))
    assert 1 <= together <= 5
    assert column(found, "round") == [0, 1, 2, 3]
    loss = column(found, "loss")
    assert loss[-1] < loss[0]


@every_case
def test_it_is_timed_as_it_runs(case):
    for changes in ({}, {"fraction_train": 0.63}):
        timed = fedtiny.run(scenario(case, **changes).model_copy(update={"learning": "none"}))
        assert timed.activities.equals(result(case, **changes).activities)
        assert column(timed, "virtual_time") == column(result(case, **changes), "virtual_time")


@every_case
def test_it_goes_on_where_devices_drop_out_and_is_timed_so(case):
    kind, keys = CASES[case]
    fleet = [{**group, "dropout": 0.25} for group in FLEET]
    patience = "timeout" if issubclass(KINDS[kind], FlowerRounds) else "message_lifetime"
    unsteady = Scenario.model_validate({**PLAIN, "fleet": fleet, "strategy": {"kind": kind, **keys, patience: "2 s"}})
    found = fedtiny.run(unsteady)
    assert column(found, "round") == [0, 1, 2, 3]
    assert column(found, "loss")[-1] < column(found, "loss")[0]
    timed = fedtiny.run(unsteady.model_copy(update={"learning": "none"}))
    assert timed.activities.equals(found.activities)
    assert column(timed, "participants") == column(found, "participants")
    assert column(timed, "failures") == column(found, "failures")


@every_case
@pytest.mark.parametrize("leaving", [{}, {"on_leave": "fail", "noticed_after": "300 ms"}], ids=["pause", "fail"])
def test_it_goes_on_where_devices_come_and_leave_and_is_timed_so(case, leaving):
    kind, keys = CASES[case]
    fleet = [{**group, "availability": {"kind": "markov", "mean_on": "1 s", "mean_off": "500 ms", **leaving}} for group in FLEET]
    unsteady = Scenario.model_validate({**PLAIN, "fleet": fleet, "strategy": {"kind": kind, "min_available_nodes": 4, **keys}})
    found = fedtiny.run(unsteady)
    assert column(found, "round") == [0, 1, 2, 3]
    assert column(found, "loss")[-1] < column(found, "loss")[0]
    assert {"offline", "train"} <= set(found.activities["kind"].to_pylist())
    assert {"aborted" if leaving else "interrupted"} & set(found.activities["outcome"].to_pylist())
    timed = fedtiny.run(unsteady.model_copy(update={"learning": "none"}))
    assert timed.activities.equals(found.activities)
    assert column(timed, "participants") == column(found, "participants")
    assert column(timed, "failures") == column(found, "failures")


@every_case
def test_it_can_be_checked_and_is_written_down_in_full(case):
    stated = scenario(case)
    assert check(stated).trains
    assert Scenario.model_validate(yaml.safe_load(resolved_yaml(stated))) == stated


@every_case
def test_it_does_the_same_where_clients_work_at_once_one_by_one(case, curve, plain_grid):
    """Any Grid: what a SuperNode does message by message is what packages of clients give."""
    kind, keys = CASES[case]
    federation = curve(sizes=(7, 12, 9, 5, 8))
    found = federation.run({"kind": kind, **keys}, local_steps=3, rounds=3)
    played = federation.play({"kind": kind, **keys}, local_steps=3, rounds=3)
    np.testing.assert_allclose(played.versions[-1].trainable, found.final, rtol=0, atol=1e-12)
    assert played.times == column(found.result, "virtual_time")


@every_kind
def test_it_cites_its_source(kind):
    assert any(f"strategy {kind}" in citation["why"] for citation in citations_of(scenario(kind)))


@every_kind
def test_the_catalog_describes_it_and_each_of_its_keys(kind):
    entry = catalog_entry("strategies", kind)
    assert entry["description"] == cleandoc(KINDS[kind].__doc__ or "").split("\n")[0]
    assert all(described["description"] for key, described in entry["keys"].items() if key != "kind")


@every_kind
def test_it_says_whether_it_combines_mixed_fleets_and_what_clients_keep(kind):
    strategy = scenario(kind).strategy
    assert isinstance(strategy.combines_parts, bool)
    assert strategy.client_vectors(3) >= 0
