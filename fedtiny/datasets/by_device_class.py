"""Labels that live mostly on the devices of one class, as what small devices see may be what large ones never meet.

Device classes are ordered by the memory that their devices offer training; devices with the same memory are one class. Of every
label with a home, the stated share of its examples goes to the devices of that class, in equal numbers. All other examples,
the rest of those labels among them, are spread at random over all devices such that sizes are as equal as possible: a device
that has more than its equal share from home gets none of them.

Ours: published benchmarks of system heterogeneity draw data and devices independently, which hides what leaving out small devices
costs when their data differs.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, final

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, Strict, model_validator

from fedtiny.datasets.partition_family import (
    NOTHING_KNOWN,
    Indices,
    KnownOfClients,
    Partition,
    check_classes,
    check_enough,
    partition_stream,
    rounded,
)
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

_WORDS = ("smallest", "largest")


def _device_class(key: object) -> object:
    """A device class from a key of a mapping, which YAML and JSON give as text."""
    if isinstance(key, int) and not isinstance(key, bool) and key >= 0:
        return str(key)
    if key in _WORDS or (isinstance(key, str) and key.isascii() and key.isdigit()):
        return key
    raise ValueError(f"device classes are smallest, largest, or their place in the order of memory counted from 0; found {key!r}")


DeviceClass = Annotated[str, BeforeValidator(_device_class)]
Labels = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Strict(False), Field(min_length=1)]


@final
class ByDeviceClass(Partition):
    """Some labels live mostly on the devices of one class; everything else is spread at random."""

    kind: Literal["by_device_class"] = "by_device_class"
    home: Annotated[dict[DeviceClass, Labels], Field(min_length=1)]
    """Device class -> its labels: smallest, largest, or a number, 0 being the class with the least memory: {smallest: [0, 1, 2]}."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.9
    """The share of these labels' examples that lives on the devices of their class."""

    @model_validator(mode="after")
    def _has_one_home_each(self) -> Self:
        labels = [label for home in self.home.values() for label in home]
        twice = sorted({label for label in labels if labels.count(label) > 1})
        if twice:
            raise ValueError(f"label {twice[0]} has two homes: name every label once")
        return self

    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """Every example is used; sizes differ by at most one, but for classes that have more than their equal share from home."""
        check_enough(targets, clients)
        check_classes(targets)
        if known.device_classes is None:
            raise DataError("nobody says of which class each client's device is: a partition by_device_class needs a fleet")
        generator = partition_stream(streams)
        parts: list[list[Indices]] = [[] for _ in range(clients)]
        rest = np.ones(len(targets), dtype=bool)
        for members, labels in self._homes(known.device_classes).items():
            mine = self._drawn(targets, labels, generator)
            rest[mine] = False
            for client, piece in zip(members, np.array_split(generator.permutation(mine), len(members)), strict=True):
                parts[client].append(piece)
        sizes = np.array([sum(map(len, own)) for own in parts])
        pieces = np.split(generator.permutation(np.flatnonzero(rest)), np.cumsum(_filled(sizes, int(rest.sum())))[:-1])
        return [np.sort(np.concatenate([*own, piece])) for own, piece in zip(parts, pieces, strict=True)]

    def _homes(self, device_classes: Indices) -> Mapping[tuple[int, ...], tuple[int, ...]]:
        """The clients of each home class and its labels."""
        last = int(device_classes.max())
        homes: dict[tuple[int, ...], tuple[int, ...]] = {}
        for key, labels in self.home.items():
            place = {"smallest": 0, "largest": last}.get(key, -1) if key in _WORDS else int(key)
            if place > last:
                raise DataError(f"there is no device class {place}: the fleet has {last + 1} of them, by memory, counted from 0")
            members = tuple(np.flatnonzero(device_classes == place).tolist())
            homes[members] = homes.get(members, ()) + labels
        return homes

    def _drawn(self, targets: NDArray[Any], labels: tuple[int, ...], generator: np.random.Generator) -> Indices:
        """The examples of these labels that live at home."""
        chosen = []
        for label in labels:
            members = np.flatnonzero(targets == label)
            if not len(members):
                raise DataError(f"no training example has label {label}, which is to live on one device class: leave it out of home")
            chosen.append(generator.permutation(members)[: rounded(np.array(self.share * len(members)))])
        return np.concatenate(chosen)


def _filled(sizes: Indices, more: int) -> Indices:
    """How many of `more` examples each client gets, `(clients,)`, so that the smallest totals become as large as possible."""
    order = np.argsort(sizes, kind="stable")
    ascending = sizes[order]
    # the clients that get anything are the first n: the most for which all of them can be brought to the size of the n-th
    needed = ascending * np.arange(1, len(sizes) + 1) - np.cumsum(ascending)
    served = int(np.flatnonzero(needed <= more)[-1]) + 1
    level, extra = divmod(more + int(ascending[:served].sum()), served)
    given = np.zeros_like(sizes)
    given[order[:served]] = level - ascending[:served]
    given[order[:served][:extra]] += 1
    return given
