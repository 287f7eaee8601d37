"""An average over clients that train different elements of one network.

Client i trains the elements T_i of the vector w and sends those alone. With p_i the clients' weights, of element c

    w[c] <- sum over the i with c in T_i of p_i w^i[c] / sum over the same i of p_i

and what nobody trained stays as it was. Where all T_i are the same this is FedAvg. An average of each parameter over those
who hold it is also that of Diao, Ding, Tarokh: HeteroFL: Computation and Communication Efficient Federated Learning for
Heterogeneous Clients, ICLR 2021, section 3, for sub-networks of different widths.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import Elements
from fedtiny.federation.records import ARRAYS, METRICS, PARTITION_ID, Vector, array_record, vector_of
from fedtiny.strategies.base import Parts

_log = logging.getLogger("flwr")


def coverage(trained: Iterable[tuple[Elements, float]], elements: int) -> Vector:
    """The summed weight of those who train each element, float64 (elements,); 0 where nobody does."""
    mass = np.zeros(elements)
    for own, weight in trained:
        mass[own] += weight
    return mass


def mixed_average(previous: Vector, sent: Sequence[tuple[Elements, float, Vector]]) -> Vector:
    """The new vector (elements,), from the previous one and what clients sent: (own elements, weight, their values)."""
    mass = coverage(((own, weight) for own, weight, _ in sent), len(previous))
    average = previous.astype(np.float64)
    average[mass > 0] = 0.0
    for own, weight, values in sent:
        average[own] += values * (weight / mass[own])
    return average.astype(previous.dtype)


def own_part(parts: Parts, client: int, values: Vector) -> Elements:
    """The elements that a client trains; raises SimulationError unless it sent as many values."""
    if client not in parts or len(values) != len(parts[client]):
        expected = f"trains {len(parts[client])}" if client in parts else "is none that takes part"
        raise SimulationError(
            f"client {client} sent {len(values)} values and {expected}: give client and server the same scenario and the same FedTiny"
        )
    return parts[client]


class MixedAverage(FlowerStrategy):
    """Flower's FedAvg with this average: the FedAvg inside samples and reads the replies, and so asks the same devices."""

    def __init__(self, inner: FlowerFedAvg, parts: Parts, start: Vector) -> None:
        self.inner, self.parts, self.vector = inner, parts, start

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Whom to ask: everybody gets the whole vector, because a device holds what others train."""
        return self.inner.configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The average of what came; None if nothing did."""
        came = list(replies)
        valid = [reply for reply in came if not reply.has_error()]
        _log.info("aggregate_train: received %d results and %d failures", len(valid), len(came) - len(valid))
        if not valid:
            return None, None
        self.vector = mixed_average(self.vector, [self._sent(reply) for reply in valid])
        metrics = self.inner.train_metrics_aggr_fn([reply.content for reply in valid], self.inner.weighted_by_key)
        return array_record(self.vector), metrics

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Nobody: the server evaluates."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nothing."""
        return None

    def summary(self) -> None:
        """Logs whom it asks."""
        self.inner.summary()

    def _sent(self, reply: Message) -> tuple[Elements, float, Vector]:
        metrics, values = cast(MetricRecord, reply.content[METRICS]), vector_of(reply.content.array_records[ARRAYS])
        part = own_part(self.parts, cast(int, metrics[PARTITION_ID]), values)
        return part, float(cast(float, metrics[self.inner.weighted_by_key])), values
