"""docs/reference/catalog.md: what can be named in a scenario, with the source and the evidence of every number."""

from collections.abc import Iterator
from typing import Any, Final

from markdown import code, page, prose, table

from fedtiny.scenario.catalog import PART_FAMILIES, catalog_document, catalog_rows

FAMILY_TITLES: Final = {
    "models": "Networks that learn",
    "datasets": "Data",
    "partitions": "Partitions: who has which data",
    "updates": "Updates: which parameters train",
    "strategies": "Strategies: how the server combines",
    "optimizers": "Optimizers",
    "schedules": "Schedules of the learning rate",
}
INTRODUCTION: Final = """What a scenario can name. `fedtiny catalog FAMILY` prints each of these lists and `fedtiny catalog FAMILY NAME`
one entry in full (`--json` for programs); the keys of every part are in [the reference of the scenario](scenario.md).

Every number of a device, a network or a mix has a source and a class of evidence:

| class | means |
|---|---|
| M | measured: taken from the source |
| D | derived from measured numbers, by the formula in the note |
| V | documentation of the vendor, board or distribution |
| E | estimate: the note gives the derivation; good to a factor of 2 unless it says otherwise |"""


def catalog_page() -> str:
    """The page."""
    parts = [INTRODUCTION, *_profiles("devices", "Devices"), *_profiles("networks", "Networks that connect"), *_profiles("mixes", "Mixes")]
    for family in PART_FAMILIES:
        parts += _parts(family)
    return page("Reference: the catalog", *parts, "## Sources", *_sources())


def _profiles(family: str, title: str) -> Iterator[str]:
    yield f'## {title} <a id="{family}"></a>'
    rows = catalog_rows(family)
    yield table([key.replace("_", " ") for key in rows[0]], [list(row.values()) for row in rows])
    for name, entry in catalog_document(family).items():
        facts = [
            (code(place), value["value"], value["evidence"], _links(value["sources"]), prose(value["note"]))
            for place, value in _facts(entry)
        ]
        text = f'#### {code(name)} <a id="{name}"></a>\n\n**{entry["title"]}.** {prose(entry["description"])}'
        yield f"{text}\n\n{table(('number', 'value', 'class', 'sources', 'how it was taken or derived'), facts)}"


def _facts(node: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every number of an entry, by its place."""
    if isinstance(node, dict) and "evidence" in node:
        yield place, node
    elif isinstance(node, dict):
        for key, inner in node.items():
            if key != "sources":
                yield from _facts(inner, f"{place}.{key}" if place else key)
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _facts(inner, f"{place}.{number}")


def _links(keys: list[str]) -> str:
    return ", ".join(f"[{key}](#source-{key})" for key in keys)


def _parts(family: str) -> Iterator[str]:
    yield f'## {FAMILY_TITLES[family]} <a id="{family}"></a>'
    document = catalog_document(family)
    rows = [(code(name), prose(part["description"]), ", ".join(code(key) for key in part["keys"])) for name, part in document.items()]
    yield table(("kind", "what it is", "keys"), rows)
    told: dict[str, list[str]] = {}
    for name, part in document.items():
        told.setdefault(part["about"], []).append(name)
    for about, names in told.items():
        yield f"**{', '.join(code(name) for name in names)}**\n\n```text\n{about.strip()}\n```"


def _sources() -> Iterator[str]:
    found: dict[str, Any] = {}
    for family in ("devices", "networks", "mixes"):
        for entry in catalog_document(family).values():
            found |= entry["sources"]
    rows = []
    for key in sorted(found):
        source = found[key]
        rows.append((f'<a id="source-{key}"></a>{code(key)}', prose(source["citation"]), f"<{source['url']}>", source.get("license", "")))
    yield table(("source", "citation", "where", "licence"), rows)
