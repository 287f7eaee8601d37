import json

from fedtiny.scenario.reference import describe_part, editor_schema, scenario_schema
from fedtiny.strategies.dga import DGA


def test_the_schema_has_the_keys_of_a_scenario_and_no_key_that_is_not_built():
    schema = scenario_schema()
    assert set(schema["properties"]) == {
        *("name", "seed", "model", "data", "training", "update", "strategy", "fleet", "device", "network", "server"),
        *("carbon_intensity", "accounting", "on_out_of_memory", "stop", "evaluation", "learning", "design", "sweep"),
    }
    assert set(schema["required"]) == {"name", "model", "data", "strategy", "fleet", "stop"}
    assert schema["additionalProperties"] is False


def test_every_key_of_the_schema_is_described():
    nodes = {"Scenario": scenario_schema(), **scenario_schema()["$defs"]}
    bare = [
        f"{name}.{key}" for name, node in nodes.items() for key, field in node.get("properties", {}).items() if not field.get("description")
    ]
    assert [key for key in bare if not key.endswith(".kind")] == []


def test_the_schema_is_json():
    assert json.loads(json.dumps(scenario_schema())) == scenario_schema()


def test_a_part_is_described_with_type_default_and_meaning_of_every_key():
    described = describe_part(DGA)
    assert described["kind"] == "dga"
    assert described["keys"]["delay"]["required"]
    assert described["keys"]["late"] == {
        "type": "'carry' or 'drop'",
        "required": False,
        "default": "carry",
        "description": "What becomes of a contribution that comes after the timeout: added to the next average, or dropped.",
    }


def test_editors_accept_a_kind_alone_and_a_whole_part():
    word, part = editor_schema()["properties"]["update"]["anyOf"]
    assert word == {"enum": ["automatic", "bias", "full", "last", "norm_last", "sparse", "tinytl"]}
    assert {"$ref": "#/$defs/TinyTL"} in part["oneOf"]
    assert editor_schema()["properties"]["update"]["description"] == scenario_schema()["properties"]["update"]["description"]
    optimizer = editor_schema()["$defs"]["Training"]["properties"]["optimizer"]
    assert optimizer["anyOf"][0] == {"enum": ["adam", "sgd"]}
    assert optimizer["default"]["kind"] == "sgd"
