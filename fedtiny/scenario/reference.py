"""The schema as data: for editors (`fedtiny schema`), for the catalog (`catalog.py`), and for error messages."""

from functools import cache
from inspect import cleandoc
from typing import Any

from fedtiny.parts import Part, described_schema
from fedtiny.scenario.allowed import type_name
from fedtiny.scenario.schema import Scenario


@cache
def scenario_schema() -> dict[str, Any]:
    """The JSON schema of a scenario, with the description and default of every key."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described_schema(Scenario)}


@cache
def keys_schema() -> dict[str, Any]:
    """The same without descriptions, which reading a scenario does not need: see `described_schema`."""
    return Scenario.model_json_schema()


def editor_schema() -> dict[str, Any]:
    """The JSON schema for editors, which also allows a kind alone where a part stands: `update: full`."""
    return dict(_with_kinds_alone(scenario_schema()))


def _with_kinds_alone(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_kinds_alone(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _with_kinds_alone(value) for key, value in node.items()}
    if "discriminator" not in node:
        return inner
    choice = {"anyOf": [{"enum": list(node["discriminator"]["mapping"])}, {"oneOf": node["oneOf"], "discriminator": node["discriminator"]}]}
    return {**{key: value for key, value in inner.items() if key not in ("oneOf", "discriminator")}, **choice}


def kind_of(part: type[Part]) -> str:
    """The word that names a part in a scenario."""
    return str(part.model_fields["kind"].default)


def describe_part(part: type[Part]) -> dict[str, Any]:
    """What the catalog shows of a part: its kind, what it is, and its keys with type, default and description."""
    schema = described_schema(part)
    keys = {
        name: {
            "type": type_name(schema, field),
            "required": name in schema.get("required", []),
            "default": field.get("default"),
            "description": field.get("description", ""),
        }
        for name, field in schema["properties"].items()
        if name != "kind"
    }
    return {"kind": kind_of(part), "description": cleandoc(part.__doc__ or ""), "keys": keys}
