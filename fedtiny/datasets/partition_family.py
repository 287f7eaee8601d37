"""What every partition of the training examples is, what it may know of the clients, and what several kinds need."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from fedtiny.errors import DataError
from fedtiny.parts import Part
from fedtiny.randomness import Streams

Indices = NDArray[np.int64]
Count = Annotated[int, Field(gt=0)]


@dataclass(frozen=True)
class KnownOfClients:
    """What is known of the clients beside how many they are; None where it is not."""

    client_train: Indices | None = None
    """Whose every example is, `(examples,)`."""
    device_classes: Indices | None = None
    """The class of every client's device, `(clients,)`, by the memory it offers: 0 the smallest, then ascending without a gap."""


NOTHING_KNOWN: Final = KnownOfClients()


class Partition(Part):
    """How examples become clients' examples. Every kind is one final class."""

    @abstractmethod
    def split(self, targets: NDArray[Any], clients: int, streams: Streams, known: KnownOfClients = NOTHING_KNOWN) -> list[Indices]:
        """The examples of every client: sorted, disjoint index arrays into `targets`, `(examples,)`, none of them empty.

        Raises DataError where the examples cannot be spread over so many clients in this way; the message says what to change.
        """


def partition_stream(streams: Streams) -> np.random.Generator:
    """The random numbers that spread examples."""
    return streams.numpy("data", "partition")


def check_enough(targets: NDArray[Any], clients: int, each: int = 1) -> None:
    """Raises DataError where there are fewer than `each` examples for every client."""
    if len(targets) < clients * each:
        raise DataError(
            f"{len(targets)} training examples are too few for {clients} clients with at least {each} each: "
            "take fewer clients or more examples"
        )


def examples_by_label(targets: NDArray[Any], generator: np.random.Generator) -> list[Indices]:
    """The shuffled examples of every label that occurs, in the order of the labels; raises DataError where targets are no classes."""
    check_classes(targets)
    return [generator.permutation(np.flatnonzero(targets == label)) for label in np.unique(targets)]


def check_classes(targets: NDArray[Any]) -> None:
    """Raises DataError where targets are no classes."""
    if not np.issubdtype(targets.dtype, np.integer):
        raise DataError(f"targets of type {targets.dtype} are no classes: use partition kind iid, sizes or natural")


def rounded(values: NDArray[np.float64]) -> Indices:
    """The nearest whole numbers."""
    return np.rint(values).astype(np.int64)
