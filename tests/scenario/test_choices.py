from typing import get_args

import pytest

from fedtiny.parts import Part, described_schema
from fedtiny.scenario.catalog import PART_FAMILIES
from fedtiny.scenario.choices import FAMILIES
from fedtiny.scenario.reference import kind_of, scenario_schema
from fedtiny.scenario.schema import Scenario

PARTS = [(family, part) for family, parts in FAMILIES.items() for part in parts]


def test_the_catalog_knows_every_family():
    assert tuple(FAMILIES) == PART_FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_parts_of_a_family_have_the_same_kind(family):
    kinds = [kind_of(part) for part in FAMILIES[family]]
    assert len(set(kinds)) == len(kinds) > 1


@pytest.mark.parametrize(("family", "part"), PARTS)
def test_a_part_says_what_it_is_and_what_its_keys_are(family, part):
    assert issubclass(part, Part)
    assert part.__doc__
    properties = described_schema(part)["properties"]
    assert [name for name, key in properties.items() if name != "kind" and not key.get("description")] == []


@pytest.mark.parametrize(("family", "part"), PARTS)
def test_a_key_without_a_value_means_none_so_that_the_resolved_scenario_can_leave_it_out(family, part):
    optional = [name for name, field in part.model_fields.items() if type(None) in get_args(field.annotation)]
    assert [name for name in optional if part.model_fields[name].default is not None] == []


def test_every_part_is_in_the_schema_of_a_scenario():
    defined = scenario_schema()["$defs"]
    assert [part.__name__ for _, part in PARTS if part.__name__ not in defined] == []
    assert Scenario.__name__ == scenario_schema()["title"]
