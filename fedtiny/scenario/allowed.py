"""What a scenario may say at a place, read from its JSON schema.

A place is a path into the values that were found. Where the schema offers a choice (a union), the values decide: a
mapping is what its `kind` says.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

Schema = Mapping[str, Any]
"""A JSON schema, or a node of one."""


def keys_at(schema: Schema, plain: Any, path: Iterable[str | int]) -> dict[str, str]:
    """The keys that may stand at a path, with their descriptions; empty where there can be no mapping."""
    node, value = _follow(schema, plain, path)
    properties = _chosen(schema, node, value).get("properties", {})
    return {name: str(properties[name].get("description", "")) for name in sorted(properties, key=lambda name: name != "kind")}


def kinds_at(schema: Schema, plain: Any, path: Iterable[str | int]) -> list[str]:
    """The kinds that a part at a path may have; empty where no kind is asked for."""
    node, _ = _follow(schema, plain, path)
    return [kind for member in _members(schema, node) for kind in member.get("discriminator", {}).get("mapping", {})]


def nearest(found: object, allowed: Iterable[str]) -> str:
    """The remedy for a misspelt word, "did you mean 'dga'? ", or nothing where no allowed word is near."""
    close = difflib.get_close_matches(str(found), list(allowed), n=1)
    return f"did you mean '{close[0]}'? " if close else ""


def with_kinds(schema: Schema, plain: Any) -> Any:
    """The values with the kind of every part said in full.

    A kind that stands alone becomes a part: `update: full` is `{kind: full}`. A part that leaves out its kind, and has
    keys of the default part only, is of the default's kind: `optimizer: {learning_rate: 0.1}` is of kind sgd.
    """
    return _with_kinds(schema, schema, plain)


def _follow(schema: Schema, plain: Any, path: Iterable[str | int]) -> tuple[Schema, Any]:
    """The schema's node at a path, not yet chosen from a union, and the value there."""
    node, value = schema, plain
    for key in path:
        node = _below(_chosen(schema, node, value), key)
        value = _value_below(value, key)
    return node, value


def _with_kinds(schema: Schema, node: Schema, value: Any) -> Any:
    if any("discriminator" in member for member in _members(schema, node)):
        value = _with_kind(schema, node, value)
    chosen = _chosen(schema, node, value)
    if isinstance(value, dict):
        return {key: _with_kinds(schema, _below(chosen, key), below) for key, below in value.items()}
    if isinstance(value, list):
        return [_with_kinds(schema, _below(chosen, index), below) for index, below in enumerate(value)]
    return value


def _with_kind(schema: Schema, node: Schema, value: Any) -> Any:
    if isinstance(value, str):
        return {"kind": value}
    default = node.get("default")
    if isinstance(value, dict) and isinstance(default, dict) and "kind" not in value:
        part = {"kind": default.get("kind"), **value}
        return part if set(value) <= set(_chosen(schema, node, part).get("properties", {})) else value
    return value


def _chosen(schema: Schema, node: Schema, value: Any) -> Schema:
    """The member of a union that the value is meant for, or the node itself."""
    for member in _members(schema, node):
        if isinstance(value, dict) and "discriminator" in member:
            return _resolved(schema, {"$ref": member["discriminator"]["mapping"].get(value.get("kind"), "")})
        if isinstance(value, dict) and ("properties" in member or "additionalProperties" in member):
            return member
        if isinstance(value, list) and member.get("type") == "array":
            return member
    return {}


def _members(schema: Schema, node: Schema) -> list[Schema]:
    node = _resolved(schema, node)
    if "anyOf" in node:
        return [inner for member in node["anyOf"] for inner in _members(schema, member)]
    return [node]


def _resolved(schema: Schema, node: Schema) -> Schema:
    if "$ref" not in node:
        return node
    found = schema.get("$defs", {}).get(node["$ref"].removeprefix("#/$defs/"), {})
    return _resolved(schema, found)


def _below(node: Schema, key: str | int) -> Schema:
    if isinstance(key, int):
        return _schema_or_nothing(node.get("items"))
    return _schema_or_nothing(node.get("properties", {}).get(key, node.get("additionalProperties")))


def _schema_or_nothing(node: Any) -> Schema:
    return node if isinstance(node, Mapping) else {}


def _value_below(value: Any, key: str | int) -> Any:
    try:
        return value[key]
    except (KeyError, IndexError, TypeError):
        return None


def type_name(schema: Schema, node: Schema) -> str:
    """What may stand at a node, in words: `text`, `a whole number or 'all'`, `one of iid, dirichlet`."""
    names = [_type_name(member) for member in _members(schema, node)]
    return " or ".join(dict.fromkeys(name for name in names if name != "nothing"))


def _type_name(node: Schema) -> str:
    if "discriminator" in node:
        return f"a part of kind {', '.join(node['discriminator']['mapping'])}"
    if "const" in node or "enum" in node:
        return " or ".join(repr(word) for word in node.get("enum", [node.get("const")]))
    if "examples" in node:
        return f"a quantity such as {node['examples'][0]}"
    return _TYPE_NAMES.get(str(node.get("type")), "anything")


_TYPE_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "keys with values",
    "null": "nothing",
}
