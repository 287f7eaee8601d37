"""docs/reference/scenario.md: every key of a scenario, from the schema of its parts."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from markdown import code, page, prose, table

from fedtiny.scenario.reference import scenario_schema

Node = Mapping[str, Any]

DIMENSIONS: Final = {
    "s": "time",
    "B": "size",
    "bit/s": "data rate",
    "MAC/s": "compute rate",
    "W": "power",
    "J/B": "energy per byte",
    "J": "energy",
    "g/kWh": "carbon intensity",
    "V": "stored energy",
}
INTRODUCTION: Final = """A scenario is one YAML file. This page lists every key that it may have, as the program itself reads it:
whatever is not here is an error, and the error names the nearest key. `fedtiny schema` prints the same as JSON schema, for editors.

- A **part** has a `kind` and that kind's keys. Where the defaults of its other keys will do, the kind alone is enough: `strategy: fedavg`.
- A **quantity** is a number with its unit, `20 ms` or `20ms`; a bare number is refused. kB = 1000 B, KiB = 1024 B.

| quantity | units | examples |
|---|---|---|
| time | s, ms, us, ns, min, h, d | `20 ms`, `1.5 s`, `10 min`, `2 d` |
| size | B, kB, MB, GB, TB, KiB, MiB, GiB | `256 kB`, `1 GiB` |
| data rate | bit/s or B/s, with k, M, G, T | `5 Mbit/s`, `1 MB/s`, `unlimited` |
| compute rate | MAC/s (multiply-accumulates), with k, M, G, T | `60 MMAC/s`, `8 GMAC/s` |
| power | W, with k, m, u | `2.5 W`, `39 mW` |
| energy per byte | J/B or J/bit, with m, u, n, p | `92 nJ/B` |
| stored energy | Wh, J, or charge times voltage | `15 Wh`, `4000 mAh x 3.85 V` |
| carbon intensity | g/kWh, kg/kWh, kg/MWh, t/MWh | `400 g/kWh` |"""


def scenario_page() -> str:
    """The page."""
    schema = scenario_schema()
    rows = [_row(schema, name, schema) for name in schema["properties"]]
    parts = [INTRODUCTION, "## The scenario's own keys", table(_HEAD, rows)]
    seen: set[str] = set()
    for name, node in schema["properties"].items():
        below = [_section(schema, part) for part in _reachable(schema, node, seen)]
        if below:
            parts += [f"## `{name}`", _sentence(node), *below]
    return page("Reference: the keys of a scenario", *parts)


_HEAD = ("key", "what may stand there", "default", "meaning")


def _reachable(schema: Node, node: Any, seen: set[str]) -> Iterator[str]:
    """The parts that may stand at a node or below it and were not met before, outer ones first."""
    found = [name for name in _references(node) if name not in seen]
    for name in dict.fromkeys(found):
        if name not in seen:
            seen.add(name)
            yield name
            yield from _reachable(schema, schema["$defs"][name], seen)


def _references(node: Any) -> Iterator[str]:
    """The names of the parts that a node refers to itself."""
    if isinstance(node, list):
        for inner in node:
            yield from _references(inner)
    elif isinstance(node, dict):
        if "$ref" in node:
            yield _name(node["$ref"])
        for key, inner in node.items():
            if key not in ("default", "discriminator"):
                yield from _references(inner)


def _name(reference: str) -> str:
    return reference.removeprefix("#/$defs/")


def _section(schema: Node, name: str) -> str:
    part = schema["$defs"][name]
    rows = [_row(schema, key, part) for key in part.get("properties", {}) if key != "kind"]
    kind = part.get("properties", {}).get("kind", {}).get("const")
    title = f"kind `{kind}`" if kind else _words(name)
    keys = table(_HEAD, rows) if rows else "It has no keys of its own."
    return f'### {title} <a id="{name.lower()}"></a>\n\n{_sentence(part)}\n\n{keys}'


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize()


def _sentence(node: Node) -> str:
    return prose(node.get("description", ""))


def _row(schema: Node, key: str, part: Node) -> tuple[str, ...]:
    node = part["properties"][key]
    return code(key), _type(schema, node), _default(key, part), _sentence(node)


def _default(key: str, part: Node) -> str:
    if key in part.get("required", ()):
        return "**required**"
    value = part["properties"][key].get("default")
    if value is None:
        return "none"
    return code(value if isinstance(value, str) else _flow(value))


def _flow(value: Any) -> str:
    """A default as YAML in one line; a part whose keys all have their defaults is its kind alone."""
    if isinstance(value, dict):
        stated = {key: inner for key, inner in value.items() if inner is not None}
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in stated.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(inner) for inner in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def _type(schema: Node, node: Node) -> str:
    names = [_member(schema, member) for member in node.get("anyOf", [node])]
    return " or ".join(dict.fromkeys(name for name in names if name))


def _member(schema: Node, node: Node) -> str:
    if "$ref" in node:
        return _link(schema, _name(node["$ref"]))
    if "discriminator" in node:
        return "a part: " + ", ".join(_link(schema, _name(target)) for target in node["discriminator"]["mapping"].values())
    if "const" in node or "enum" in node:
        return ", ".join(code(word) for word in node.get("enum", [node.get("const")]))
    if "examples" in node:
        return f"{_dimension(node['examples'][0])}, such as {code(node['examples'][0])}"
    return _plain(schema, node)


def _link(schema: Node, name: str) -> str:
    kind = schema["$defs"][name].get("properties", {}).get("kind", {}).get("const")
    return f"[{kind or _words(name).lower()}](#{name.lower()})"


def _dimension(example: str) -> str:
    if example.startswith("p"):
        return "quantiles beside the median"
    return next(name for unit, name in sorted(DIMENSIONS.items(), key=lambda item: -len(item[0])) if example.endswith(unit))


def _plain(schema: Node, node: Node) -> str:
    match node.get("type"):
        case "null":
            return ""
        case "array":
            return _list(schema, node)
        case "object":
            inner = node.get("additionalProperties")
            return f"keys with values: {_type(schema, inner)}" if isinstance(inner, dict) else "keys with values"
        case kind:
            word = {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(
                str(kind), "anything"
            )
            return " ".join([word, *_limits(node)])


def _list(schema: Node, node: Node) -> str:
    if "prefixItems" in node:
        return "list of " + ", ".join(_type(schema, inner) for inner in node["prefixItems"])
    size = (node.get("minItems"), node.get("maxItems"))
    number = f"{size[0]} " if size[0] == size[1] and size[0] else ""
    return f"list of {number}{_type(schema, node.get('items') or {'type': 'any'})}"


_LIMITS: Final = (("minimum", "≥ {}"), ("exclusiveMinimum", "> {}"), ("maximum", "≤ {}"), ("exclusiveMaximum", "< {}"))


def _limits(node: Node) -> list[str]:
    bounds = " and ".join(text.format(f"{node[key]:g}" if abs(node[key]) < 1e15 else node[key]) for key, text in _LIMITS if key in node)
    lengths = f"of at most {node['maxLength']} characters" if "maxLength" in node else ""
    return [text for text in (bounds, lengths) if text]
