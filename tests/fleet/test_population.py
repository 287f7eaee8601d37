"""What a scenario may say of a population, and how what it may not is refused."""

import pytest

import fedtiny
from fedtiny.errors import ScenarioError

SCENARIO = """
name: phones
model: linear
data: {kind: synthetic, partition: {kind: with_replacement, examples: 20}}
strategy: fedavg
fleet: {kind: population, count: 100, mix: flash_phones}
stop: {rounds: 1}
"""
MEMBER = {"share": 1, "device": "raspberry_pi_4", "network": "lte_static"}


def loaded(tmp_path, **overrides):
    file = tmp_path / "phones.yaml"
    file.write_text(SCENARIO)
    return fedtiny.load_scenario(file, overrides)


def test_a_population_is_read_and_written_back(tmp_path):
    scenario = loaded(tmp_path)
    assert (scenario.fleet.count, scenario.devices, len(scenario.fleet.classes)) == (100, 100, 3)
    assert type(scenario).model_validate(scenario.to_plain()) == scenario


def test_members_of_ones_own_are_classes(tmp_path):
    scenario = loaded(tmp_path, fleet={"kind": "population", "count": 5, "members": [MEMBER, {**MEMBER, "share": 2.5}]})
    assert [member.share for member in scenario.fleet.classes] == [1, 2.5]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"fleet": {"kind": "population", "count": 5}}, "say of what devices it is: either mix"),
        (
            {"fleet": {"kind": "population", "count": 5, "mix": "flash_phones", "members": [MEMBER]}},
            "say of what devices it is: either mix",
        ),
        ({"fleet": {"kind": "population", "count": 5, "network": "lte_static", "members": [MEMBER]}}, "give each its network"),
        ({"fleet.mix": "flash_phoned"}, "did you mean 'flash_phones'"),
        ({"fleet.count": 0}, "fleet.count: must be more than 0"),
        ({"fleet.count": 10_000_001}, "10000001 devices are too many: a population has at most 10000000"),
        ({"fleet.cuont": 5}, "fleet.cuont: unknown key: did you mean 'count'"),
        ({"fleet": {"kind": "population", "count": 5, "members": []}}, "fleet.members: must have at least 1 entries, found 0"),
        ({"fleet": {"kind": "population", "count": 5, "members": [{**MEMBER, "share": 0}]}}, "fleet.members.0.share: must be more than 0"),
        ({"fleet": {"kind": "population", "count": 5, "members": [{**MEMBER, "device": "pi"}]}}, "the catalog has no device 'pi'"),
        ({"data.partition": "iid"}, "data.partition: devices of a population draw their examples themselves, and partition iid splits"),
        ({"fleet": [{"count": 2, "device": "raspberry_pi_4", "network": "lte_static"}]}, "partition with_replacement is for populations"),
        ({"strategy.min_train_nodes": 101}, "waits for 101 devices, but the fleet has 100"),
        ({"fleet.dropout": 0.5}, "fleet.dropout: devices that drop out send no reply"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(tmp_path, overrides, message):
    with pytest.raises(ScenarioError) as caught:
        loaded(tmp_path, **overrides)
    assert message in str(caught.value)
