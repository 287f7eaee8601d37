"""Where the numbers of a scenario's devices and networks come from: the catalog's sources of those that it names, as citations."""

from collections.abc import Iterator
from typing import Final

from fedtiny.fleet.catalog import device_entry, facts_of, network_entry, sources
from fedtiny.fleet.population import Population
from fedtiny.results.record import Citation
from fedtiny.scenario.schema import Scenario

_SPECIAL: Final = str.maketrans(
    {sign: f"\\{sign}" for sign in "&%$#_{}"} | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"}
)
"""Characters that TeX does not take as they are."""


def device_citations(scenario: Scenario) -> list[Citation]:
    """The sources of the catalog's devices and networks in the fleet, each once, with what they are cited for."""
    used: dict[str, list[str]] = {}
    for name, keys in _named(scenario):
        for key in keys:
            used.setdefault(key, []).extend([name] if name not in used.get(key, []) else [])
    return [_citation(key, names) for key, names in used.items()]


def _named(scenario: Scenario) -> Iterator[tuple[str, list[str]]]:
    """Every device and network of the catalog in the fleet, and the keys of its sources; a profile of the user's own has none."""
    groups = scenario.fleet.classes if isinstance(scenario.fleet, Population) else scenario.fleet
    for group in groups:
        if isinstance(group.device, str):
            yield f"device {group.device}", sorted({key for fact in facts_of(device_entry(group.device)).values() for key in fact.sources})
        if isinstance(group.network, str):
            yield (
                f"network {group.network}",
                sorted({key for fact in facts_of(network_entry(group.network)).values() for key in fact.sources}),
            )


def _citation(key: str, names: list[str]) -> Citation:
    source = sources()[key]
    title = source.citation.strip().removesuffix(".").translate(_SPECIAL)
    entry = f"@misc{{{key}, title={{{{{title}}}}}, howpublished={{\\url{{{source.url}}}}}}}"
    return Citation(key=key, text=f"{source.citation.strip()} {source.url}", bibtex=entry, why=f"numbers of {', '.join(names)}")
