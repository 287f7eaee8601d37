"""FedAvg's average, added up as the replies are read, so that memory does not grow with the cohort.

With p_i the clients' weights and T_i the elements that client i trains and sends (all of them, but in a mixed fleet), of element c

    w[c] <- sum over the i with c in T_i of p_i w^i[c] / sum over the same i of p_i

and what nobody trained stays as it was. Where all T_i are the same this is FedAvg (McMahan et al., AISTATS 2017, Algorithm 1). An
average of each parameter over those who hold it is also that of Diao, Ding, Tarokh: HeteroFL: Computation and Communication
Efficient Federated Learning for Heterogeneous Clients, ICLR 2021, section 3, for sub-networks of different widths.

Sums are in float64, in the order of the replies. A reply's arrays are let go as soon as they are added.
"""

import logging
from collections.abc import Iterable
from typing import Final, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import EVERYTHING, ClientReply, Elements, read_reply
from fedtiny.federation.records import PARTITION_ID, TRAIN_LOSS, Vector, array_record
from fedtiny.strategies.base import Parts
from fedtiny.strategies.coverage import own_part, require_whole

_log = logging.getLogger("flwr")
_STRETCH: Final = 65_536


class RunningSum:
    """The weighted sum of clients' values, element by element, and the weights that are in it."""

    def __init__(self, elements: int) -> None:
        self._sum, self._product = np.zeros(elements), np.empty(min(elements, _STRETCH))
        self._mass = np.zeros(elements)
        self._whole_mass = 0.0

    def add(self, own: Elements, weight: float, values: Vector) -> None:
        """Adds a client's values (own elements,)."""
        if isinstance(own, slice):
            self._whole_mass += weight
            self._add_whole(weight, values)
        else:
            self._mass[own] += weight
            self._sum[own] += values.astype(np.float64) * weight

    def _add_whole(self, weight: float, values: Vector) -> None:
        # in stretches that stay in the processor's cache
        for start in range(0, len(values), _STRETCH):
            stretch = values[start : start + _STRETCH]
            product = self._product[: len(stretch)]
            np.multiply(stretch, weight, out=product)
            self._sum[start : start + _STRETCH] += product

    def average(self, previous: Vector) -> Vector:
        """The average (elements,) in the type of `previous`, which also stands where nobody sent anything."""
        mass = self._mass + self._whole_mass
        return np.divide(self._sum, mass, out=previous.astype(np.float64), where=mass > 0).astype(previous.dtype)


class RunningAverage(FlowerStrategy):
    """Flower's FedAvg with this average: the FedAvg inside samples, and so asks the same devices."""

    def __init__(self, inner: FlowerFedAvg, start: Vector, parts: Parts | None) -> None:
        self.inner, self.vector, self.parts = inner, start, parts

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
        total = RunningSum(len(self.vector))
        losses = [self._add(total, read_reply(reply)) for reply in valid]
        self.vector = total.average(self.vector)
        weight = sum(weight for weight, _ in losses)
        return array_record(self.vector), MetricRecord({TRAIN_LOSS: sum(weight * loss for weight, loss in losses) / weight})

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Nobody: the server evaluates."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nothing."""
        return None

    def summary(self) -> None:
        """Logs whom it asks."""
        self.inner.summary()

    def _add(self, total: RunningSum, reply: ClientReply) -> tuple[float, float]:
        """Adds a reply and gives its weight and its loss; its arrays are then let go."""
        client, values = cast(int, reply.metrics[PARTITION_ID]), reply.arrays
        if values is None:
            raise SimulationError(f"client {client} sent no values")
        weight, own = float(reply.metrics[self.inner.weighted_by_key]), cast(Elements, EVERYTHING)
        if self.parts is None:
            require_whole(client, values, len(self.vector))
        else:
            own = own_part(self.parts, client, values)
        total.add(own, weight, values)
        return weight, float(reply.metrics[TRAIN_LOSS])
