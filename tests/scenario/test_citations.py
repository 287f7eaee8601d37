"""Works are cited where a scenario uses them, and not elsewhere."""

import pytest

from fedtiny.scenario.citations import citations_of
from fedtiny.scenario.schema import Scenario

FLEET = [{"count": 2, "device": {"kind": "custom", "memory": "1 GB", "step_time": "1 s"}, "network": {"kind": "custom", "latency": "0 s"}}]
PLAIN = {
    "name": "cited",
    "model": {"kind": "linear"},
    "data": {"kind": "synthetic"},
    "strategy": {"kind": "dga", "delay": 2},
    "fleet": FLEET,
}


def keys(**changes):
    return {citation["key"] for citation in citations_of(Scenario.model_validate({**PLAIN, "stop": {"rounds": 1}, **changes}))}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"training": {"pace": "by_speed"}}, "wang2020fednova"),
        ({"training": {"optimizer": {"kind": "sgd", "schedule": {"kind": "cosine", "rounds": 9}}}}, "loshchilov2017sgdr"),
        ({"strategy": {"kind": "dga", "delay": 2, "server_average": {"kind": "tail"}}}, "polyak1992averaging"),
        ({"model": {"kind": "linear", "pretrained": {"netaug": {}}}}, "cai2022netaug"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_adds_its_work(changes, key):
    assert keys(**changes) == keys() | {key}
    assert key not in keys()
