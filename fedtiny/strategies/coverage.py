"""Who trains which elements of the shared vector, and whether what a client sent fits that."""

from collections.abc import Iterable

import numpy as np

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import Elements
from fedtiny.federation.records import Vector
from fedtiny.strategies.base import Parts


def coverage(trained: Iterable[tuple[Elements, float]], elements: int) -> Vector:
    """The summed weight of those who train each element, float64 (elements,); 0 where nobody does."""
    mass = np.zeros(elements)
    for own, weight in trained:
        mass[own] += weight
    return mass


def own_part(parts: Parts, client: int, values: Vector) -> Elements:
    """The elements that a client of a mixed fleet trains; raises SimulationError unless it sent as many values."""
    if client not in parts:
        raise _does_not_fit(client, len(values), "is none that takes part")
    if len(values) != len(parts[client]):
        raise _does_not_fit(client, len(values), f"trains {len(parts[client])}")
    return parts[client]


def require_whole(client: int, values: Vector, elements: int) -> None:
    """Raises SimulationError unless a client that trains everything sent as many values."""
    if len(values) != elements:
        raise _does_not_fit(client, len(values), f"trains {elements}")


def _does_not_fit(client: int, sent: int, expected: str) -> SimulationError:
    return SimulationError(
        f"client {client} sent {sent} values and {expected}: give client and server the same scenario and the same FedTiny"
    )
