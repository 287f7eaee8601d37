"""The catalog: devices and networks with where every number comes from.

One YAML file per device or network in `catalog/devices` and `catalog/networks`; the folders are the register, so a new file is a
new name. Every number is a fact with four parts: its `value` (a quantity with its unit, or a plain number), its `evidence`, its
`sources` (keys of `catalog/sources.yaml`, which holds the full citations) and a `note` that says how it was taken or derived (facts.py).

Files are read and checked when first asked for, and once only.
"""

import difflib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any, Final, Literal, Self, final

import yaml
from pydantic import Field, model_validator

from fedtiny.errors import CatalogError
from fedtiny.fleet.device import DeviceProfile
from fedtiny.fleet.facts import BackwardFacts, Fact, PagingFacts, PowerFacts, RateFacts, Source, Text, ThrottlingFacts
from fedtiny.fleet.network import NetworkProfile
from fedtiny.fleet.network_facts import LoRaFacts, RadioStatesFacts
from fedtiny.parts import Part

DeviceClass = Literal["microcontroller", "single_board_computer", "phone", "edge_gpu"]
NetworkClass = Literal["bluetooth", "cellular", "low_power_wide_area", "wifi"]
_NAME_PATTERN: Final = r"^[a-z0-9_]+$"
_DEVICE_COLUMNS: Final = (
    "memory",
    *("rates.dense_gemm", "rates.dense_convolution", "rates.depthwise", "rates.recurrent"),
    *("memory_bandwidth", "dispatch_overhead", "power.idle", "power.active"),
)
_NETWORK_COLUMNS: Final = ("latency", "downlink", "uplink", "jitter", "loss", "energy_down", "energy_up")
_DESCRIPTION: Final = ("name", "title", "description", "device_class", "network_class")


@final
class DeviceEntry(Part):
    """A device of the catalog; see `fleet.device` for what the numbers mean."""

    name: Annotated[str, Field(pattern=_NAME_PATTERN)]
    title: Text
    device_class: DeviceClass
    description: Text
    """What the device is, and in which software its rates were found."""
    memory: Fact
    rates: RateFacts
    memory_bandwidth: Fact | None = None
    dispatch_overhead: Fact | None = None
    group_overhead: Fact | None = None
    backward_factor: BackwardFacts | None = None
    throttling: ThrottlingFacts | None = None
    paging: PagingFacts | None = None
    power: PowerFacts | None = None
    flash_erase_block: Fact | None = None
    flash_endurance: Fact | None = None

    def profile(self) -> DeviceProfile:
        """The device as the simulation knows it."""
        numbers = _values(self.to_plain())
        return DeviceProfile.model_validate({"name": self.name, "device_class": self.device_class, **numbers})

    @model_validator(mode="after")
    def _makes_a_profile(self) -> Self:
        self.profile()
        return self


@final
class NetworkEntry(Part):
    """A network of the catalog; see `fleet.network` for what the numbers mean."""

    name: Annotated[str, Field(pattern=_NAME_PATTERN)]
    title: Text
    network_class: NetworkClass
    description: Text
    """What was measured, where, and what the numbers leave out."""
    latency: Fact
    downlink: Fact
    uplink: Fact
    jitter: Fact | None = None
    loss: Fact | None = None
    energy_down: Fact | None = None
    energy_up: Fact | None = None
    latency_sigma: Fact | None = None
    downlink_sigma: Fact | None = None
    uplink_sigma: Fact | None = None
    latency_quantiles: Fact | None = None
    downlink_quantiles: Fact | None = None
    uplink_quantiles: Fact | None = None
    latency_minimum: Fact | None = None
    latency_maximum: Fact | None = None
    downlink_minimum: Fact | None = None
    downlink_maximum: Fact | None = None
    uplink_minimum: Fact | None = None
    uplink_maximum: Fact | None = None
    latency_transfer_sigma: Fact | None = None
    downlink_transfer_sigma: Fact | None = None
    uplink_transfer_sigma: Fact | None = None
    latency_transfer_deviation: Fact | None = None
    downlink_transfer_deviation: Fact | None = None
    uplink_transfer_deviation: Fact | None = None
    latency_transfer_quantiles: Fact | None = None
    downlink_transfer_quantiles: Fact | None = None
    uplink_transfer_quantiles: Fact | None = None
    radio_states: RadioStatesFacts | None = None
    lora: LoRaFacts | None = None

    def profile(self) -> NetworkProfile:
        """The network as the simulation knows it."""
        return NetworkProfile.model_validate({"name": self.name, **_values(self.to_plain())})

    @model_validator(mode="after")
    def _makes_a_profile(self) -> Self:
        self.profile()
        return self


Entry = DeviceEntry | NetworkEntry


def device_names() -> list[str]:
    """The names of all devices, sorted."""
    return list(_names("devices"))


def network_names() -> list[str]:
    """The names of all networks, sorted."""
    return list(_names("networks"))


def known_device(name: str) -> str:
    """The name itself if the catalog has such a device; CatalogError, naming the nearest, if not."""
    return _known("device", name)


def known_network(name: str) -> str:
    """The name itself if the catalog has such a network; CatalogError, naming the nearest, if not."""
    return _known("network", name)


@cache
def device_entry(name: str) -> DeviceEntry:
    """A device with the evidence of every number; CatalogError if there is none of that name."""
    return DeviceEntry.model_validate(_read("devices", known_device(name)))


@cache
def network_entry(name: str) -> NetworkEntry:
    """A network with the evidence of every number; CatalogError if there is none of that name."""
    return NetworkEntry.model_validate(_read("networks", known_network(name)))


@cache
def load_device(name: str) -> DeviceProfile:
    """A device as the simulation knows it; CatalogError if there is none of that name."""
    return device_entry(name).profile()


@cache
def load_network(name: str) -> NetworkProfile:
    """A network as the simulation knows it, the spread between devices included; CatalogError if there is none of that name."""
    return network_entry(name).profile()


@cache
def sources() -> dict[str, Source]:
    """All citations of the catalog by their keys."""
    plain = yaml.safe_load((_folder() / "sources.yaml").read_text(encoding="utf-8"))
    return {key: Source.model_validate(source) for key, source in plain.items()}


def facts_of(entry: Entry) -> dict[str, Fact]:
    """Every fact of an entry by its place, such as "memory" or "rates.depthwise"."""
    return {".".join(path): fact for path, fact in _facts(entry, ())}


def plain_entry(entry: Entry) -> dict[str, Any]:
    """An entry as plain values, for JSON: numbers as its file writes them, absent ones left out, and `sources` with the citations used."""
    used = sorted({key for fact in facts_of(entry).values() for key in fact.sources})
    citations = {key: sources()[key].model_dump(mode="json", exclude_none=True) for key in used}
    return {**entry.model_dump(mode="json", exclude_none=True), "sources": citations}


def device_rows() -> list[dict[str, str]]:
    """One row of texts per device, for a table: value and evidence of every number, empty where the catalog has none."""
    return [_row(device_entry(name), _DEVICE_COLUMNS) for name in device_names()]


def network_rows() -> list[dict[str, str]]:
    """One row of texts per network, for a table: value and evidence of every number, empty where the catalog has none."""
    return [_row(network_entry(name), _NETWORK_COLUMNS) for name in network_names()]


def _row(entry: Entry, columns: tuple[str, ...]) -> dict[str, str]:
    group = entry.device_class if isinstance(entry, DeviceEntry) else entry.network_class
    facts = {place: f"{fact.value} ({fact.evidence})" for place, fact in facts_of(entry).items()}
    return {"name": entry.name, "class": group, **{column.rpartition(".")[2]: facts.get(column, "") for column in columns}}


def _facts(part: Part, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Fact]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        if isinstance(value, Fact):
            yield (*path, name), value
        elif isinstance(value, Part):
            yield from _facts(value, (*path, name))


def _values(plain: dict[str, Any]) -> dict[str, Any]:
    """The bare values of plain facts; what describes the entry and what it leaves out is dropped."""
    stated = {key: value for key, value in plain.items() if key not in _DESCRIPTION and value is not None}
    return {key: value["value"] if "value" in value else _values(value) for key, value in stated.items()}


def _known(family: Literal["device", "network"], name: str) -> str:
    names = _names(f"{family}s")
    if name not in names:
        near = difflib.get_close_matches(name, names, n=3)
        meant = f"did you mean {' or '.join(repr(one) for one in near)}? " if near else ""
        raise CatalogError(
            f"the catalog has no {family} {name!r}: {meant}`fedtiny catalog {family}s` lists all {len(names)}; "
            f"{{kind: custom, ...}} describes one of your own"
        )
    return name


@cache
def _names(folder: str) -> tuple[str, ...]:
    found = (item.name for item in (_folder() / folder).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def _read(folder: str, name: str) -> Any:
    plain = yaml.safe_load((_folder() / folder / f"{name}.yaml").read_text(encoding="utf-8"))
    if plain.get("name") != name:
        raise CatalogError(f"catalog/{folder}/{name}.yaml calls itself {plain.get('name')!r}: file and name must be the same")
    return plain


def _folder() -> Traversable:
    return files("fedtiny.fleet") / "catalog"
