"""Every kind of network with every way to come and leave: a plan is the run, a resource does one thing at a time, and who is away does
nothing."""

from itertools import pairwise

import pyarrow as pa
import pytest

import fedtiny
from fedtiny.scenario.schema import Scenario

RATES = {"downlink": "8 kbit/s", "uplink": "9 kbit/s"}
LINK = {"kind": "custom", "latency": "70 ms", **RATES}
NETWORKS = {
    "plain": ({}, {}),
    "losses": ({"jitter": "30 ms", "loss": 0.2}, {}),
    "spread": ({"uplink_transfer_deviation": 0.4}, {}),
    "sleeping": ({"radio_states": {"inactivity": "5 s", "promotion": "500 ms", "promotion_power": "300 mW", "tail_power": "200 mW"}}, {}),
    "hours": ({"time_of_day": {"starts_at": 0.998, "rates": [1.0, *[0.5] * 23]}}, {}),
    "access_point": ({"access_point": {"devices": 2, "downlink": "9 kbit/s", "uplink": "9 kbit/s"}}, {}),
    "server": ({}, {"server": {"downlink": "12 kbit/s", "uplink": "12 kbit/s"}}),
}
AVAILABILITY = {
    "always": None,
    "cycle": {"kind": "duty_cycle", "on": "7 s", "off": "9 s"},
    "cycle_fails": {"kind": "duty_cycle", "on": "27 s", "off": "3 s", "on_leave": "fail", "noticed_after": "2 s"},
    "repeats": {"kind": "markov", "mean_on": "20 s", "mean_off": "5 s", "resume_transfers": False},
}
STRATEGIES = [
    {"kind": "fedavg", "timeout": "60 s"},
    {"kind": "dga", "delay": 3, "message_lifetime": "60 s"},
    {"kind": "fedbuff", "buffer": 2},
]
RESOURCES = ({"download"}, {"upload"}, {"train", "start_up", "paging", "evaluate"})


def scenario(network: str, availability: str, learning: str, strategy: int | None = None) -> Scenario:
    keys, more = NETWORKS[network]
    group = {
        "count": 4,
        "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s", "power": {"idle": "300 mW", "active": "3 W"}},
        "network": {**LINK, "energy_up": "1 mJ/B", "energy_down": "0.5 mJ/B", **keys},
    }
    if (comes := AVAILABILITY[availability]) is not None:
        group["availability"] = comes
    place = list(NETWORKS).index(network) + list(AVAILABILITY).index(availability)
    return Scenario.model_validate(
        {
            "name": "combined",
            "seed": place,
            "learning": learning,
            "model": {"kind": "linear"},
            "data": {"kind": "synthetic", "examples": 67, "test_examples": 4, "classes": 3},
            "training": {"batch_size": 5, "local_steps": 4},
            "strategy": STRATEGIES[place % len(STRATEGIES) if strategy is None else strategy],
            "fleet": [group],
            "stop": {"rounds": 6, "virtual_time": "300 s"},
            **more,
        }
    )


def activities_of(network: str, availability: str, learning: str) -> pa.Table | str:
    try:
        return fedtiny.run(scenario(network, availability, learning)).activities
    except fedtiny.FedTinyError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("availability", AVAILABILITY)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_plan_is_the_run_and_nobody_does_two_things_at_once_or_anything_while_away(network, availability):
    found, planned = (activities_of(network, availability, learning) for learning in ("real", "none"))
    assert isinstance(found, pa.Table), found
    assert isinstance(planned, pa.Table), planned
    assert found.equals(planned)
    rows = found.to_pylist()
    assert {row["kind"] for row in rows} >= {"download", "train", "upload"}
    for device in range(4):
        own = [row for row in rows if row["device"] == device]
        for kinds in RESOURCES:
            assert_apart([row for row in own if row["kind"] in kinds])
        away = [row for row in own if row["kind"] == "offline"]
        for row in own:
            if row["kind"] in set.union(*RESOURCES) and row["end"] > row["start"]:
                assert_apart([*away, row])
    if AVAILABILITY[availability] is not None:
        assert any(row["kind"] == "offline" for row in rows)


def assert_apart(rows: list[dict]) -> None:
    spans = sorted((row["start"], row["end"]) for row in rows)
    for (_, end), (start, _) in pairwise(spans):
        assert end <= start + 1e-9


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "losses"])
def test_who_goes_on_where_it_was_moves_every_byte_once(network):
    """Pieces of a transfer that was interrupted add up to what one that was not moves; what is lost, and sent again, is left out."""
    whole, broken = (fedtiny.run(scenario(network, kind, "none", strategy=0)).activities.to_pylist() for kind in ("always", "cycle"))
    ways = ("download", "upload")
    sizes = {way: {row["bytes"] for row in whole if row["kind"] == way and row["outcome"] == "done"} for way in ways}
    assert [len(sizes[way]) for way in ways] == [1, 1]
    pieces: dict[tuple[str, int, int], list[int]] = {}
    ended = set()
    for row in broken:
        if row["kind"] in ways:
            key = row["kind"], row["device"], row["round"]
            pieces.setdefault(key, []).append(row["bytes"])
            ended |= {key} if row["outcome"] == "done" else set()
    assert any(len(pieces[key]) > 1 for key in ended)
    for way in ways:
        assert {sum(pieces[key]) for key in ended if key[0] == way} == sizes[way]
