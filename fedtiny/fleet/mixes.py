"""Mixes: ready-made mixtures of devices for populations, with where every number comes from.

One YAML file per mix in `catalog/mixes`, with the same facts and the same citations as the devices and networks of the catalog.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, final

import yaml
from pydantic import AfterValidator, Field, Strict

from fedtiny.errors import CatalogError
from fedtiny.fleet.catalog import known_device, known_network, sources
from fedtiny.fleet.facts import Fact, Text
from fedtiny.parts import Part

_FOLDER: Final = files("fedtiny.fleet") / "catalog" / "mixes"


@final
class BudgetFacts(Part):
    """A memory budget, and what share of a class has it."""

    budget: Fact
    share: Fact


@final
class MixMember(Part):
    """A class of a mix: which device on which network, how many, and how they differ."""

    title: Text
    device: Annotated[str, AfterValidator(known_device)]
    network: Annotated[str, AfterValidator(known_network)]
    share: Fact
    speed_sigma: Fact | None = None
    memory: Annotated[tuple[BudgetFacts, ...], Strict(False)] | None = None

    def as_stated(self) -> dict[str, Any]:
        """What a scenario would say of this member."""
        plain: dict[str, Any] = {"share": self.share.value, "device": self.device, "network": self.network}
        if self.speed_sigma is not None:
            plain["speed_sigma"] = self.speed_sigma.value
        if self.memory is not None:
            plain["memory"] = [{"budget": one.budget.value, "share": one.share.value} for one in self.memory]
        return plain


@final
class MixEntry(Part):
    """A mix of the catalog; see `fleet.population` for what the numbers mean."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: Text
    description: Text
    """What the mix is of, how classes and numbers were put together, and what that leaves out."""
    members: Annotated[tuple[MixMember, ...], Strict(False), Field(min_length=1)]

    def members_as_stated(self) -> list[dict[str, Any]]:
        """What a scenario would say of the members."""
        return [member.as_stated() for member in self.members]


def mix_names() -> list[str]:
    """The names of all mixes, sorted."""
    return sorted(item.name.removesuffix(".yaml") for item in _FOLDER.iterdir() if item.name.endswith(".yaml"))


def known_mix(name: str) -> str:
    """The name itself if the catalog has such a mix; CatalogError, naming the nearest, if not."""
    names = mix_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise CatalogError(
            f"the catalog has no mix {name!r}: {meant}`fedtiny catalog mixes` lists all {len(names)}; members describe one of your own"
        )
    return name


@cache
def mix_entry(name: str) -> MixEntry:
    """A mix with the evidence of every number; CatalogError if there is none of that name, or its file calls itself otherwise."""
    plain = yaml.safe_load((_FOLDER / f"{known_mix(name)}.yaml").read_text(encoding="utf-8"))
    if plain.get("name") != name:
        raise CatalogError(f"catalog/mixes/{name}.yaml calls itself {plain.get('name')!r}: file and name must be the same")
    return MixEntry.model_validate(plain)


def mix_facts(entry: MixEntry) -> dict[str, Fact]:
    """Every fact of a mix by its place, such as "members.0.share"."""
    return dict(_facts(entry))


def plain_mix(entry: MixEntry) -> dict[str, Any]:
    """A mix as plain values, for JSON: absent ones left out, and `sources` with the citations used."""
    used = sorted({key for fact in mix_facts(entry).values() for key in fact.sources})
    citations = {key: sources()[key].model_dump(mode="json", exclude_none=True) for key in used}
    return {**entry.model_dump(mode="json", exclude_none=True), "sources": citations}


def mix_rows() -> list[dict[str, str]]:
    """One row of texts per member of every mix, for a table."""
    return [
        {
            "name": entry.name,
            "class": member.title,
            "share": f"{member.share.value:g} ({member.share.evidence})",
            "device": member.device,
            "network": member.network,
            "speed_sigma": "" if member.speed_sigma is None else f"{member.speed_sigma.value} ({member.speed_sigma.evidence})",
        }
        for entry in map(mix_entry, mix_names())
        for member in entry.members
    ]


def _facts(entry: MixEntry) -> Iterator[tuple[str, Fact]]:
    for place, member in enumerate(entry.members):
        yield f"members.{place}.share", member.share
        if member.speed_sigma is not None:
            yield f"members.{place}.speed_sigma", member.speed_sigma
        for number, one in enumerate(member.memory or ()):
            yield f"members.{place}.memory.{number}.budget", one.budget
            yield f"members.{place}.memory.{number}.share", one.share
