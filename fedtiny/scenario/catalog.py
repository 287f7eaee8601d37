"""What `fedtiny catalog` shows: devices and networks with their sources, and every part that a scenario can name.

Parts are imported when they are asked for: devices and networks need no torch.
"""

from collections.abc import Mapping
from inspect import cleandoc
from sys import modules
from typing import Any, Final

from fedtiny.errors import CatalogError
from fedtiny.fleet import catalog as fleet
from fedtiny.fleet import mixes
from fedtiny.scenario.allowed import nearest

PART_FAMILIES: Final = ("models", "datasets", "partitions", "updates", "strategies", "optimizers", "schedules")
FAMILIES: Final = ("devices", "networks", "mixes", *PART_FAMILIES)
"""The families that the catalog knows."""


def catalog_rows(family: str) -> list[dict[str, str]]:
    """One row of texts for every entry of a family, for a table; raises CatalogError if there is no such family."""
    if _checked(family) == "devices":
        return fleet.device_rows()
    if family == "networks":
        return fleet.network_rows()
    if family == "mixes":
        return mixes.mix_rows()
    return [{"kind": part["kind"], "keys": ", ".join(part["keys"]), "description": part["description"]} for part in _parts(family).values()]


def catalog_document(family: str) -> dict[str, Any]:
    """Every entry of a family in full, by name; raises CatalogError if there is no such family."""
    if _checked(family) == "devices":
        return {name: fleet.plain_entry(fleet.device_entry(name)) for name in fleet.device_names()}
    if family == "networks":
        return {name: fleet.plain_entry(fleet.network_entry(name)) for name in fleet.network_names()}
    if family == "mixes":
        return {name: mixes.plain_mix(mixes.mix_entry(name)) for name in mixes.mix_names()}
    return _parts(family)


def catalog_entry(family: str, name: str) -> dict[str, Any]:
    """One entry in full; raises CatalogError, naming the nearest, if there is none of that name."""
    if _checked(family) == "devices":
        return fleet.plain_entry(fleet.device_entry(name))
    if family == "networks":
        return fleet.plain_entry(fleet.network_entry(name))
    if family == "mixes":
        return mixes.plain_mix(mixes.mix_entry(name))
    parts = _parts(family)
    return parts[_known(name, parts, f"the catalog has none of this name among its {family}")]


def _parts(family: str) -> dict[str, dict[str, Any]]:
    from fedtiny.scenario.choices import FAMILIES as PARTS
    from fedtiny.scenario.reference import describe_part, kind_of

    return {kind_of(part): {**describe_part(part), "about": cleandoc(modules[part.__module__].__doc__ or "")} for part in PARTS[family]}


def _checked(family: str) -> str:
    return _known(family, dict.fromkeys(FAMILIES), "the catalog has no such family")


def _known(name: str, allowed: Mapping[str, Any], problem: str) -> str:
    if name not in allowed:
        raise CatalogError(f"{name}: {problem}: {nearest(name, allowed)}allowed: {', '.join(allowed)}")
    return name
