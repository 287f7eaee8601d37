"""FedAvg: Flower's own strategy, unmodified, and the client that goes with it.

    w_t = sum_i p_i w^i_t,   w^i_t = K local steps of the client's optimizer from w_{t-1}

McMahan, Moore, Ramage, Hampson, Aguera y Arcas: Communication-Efficient Learning of Deep Networks from Decentralized
Data, AISTATS 2017, Algorithm 1. The server's half is `flwr.serverapp.strategy.FedAvg`; where the devices train different
elements of one network, which Flower's cannot add up, FedTiny's own average (mixed_average.py) in Flower's loop.
"""

from typing import ClassVar, Literal, final

from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fedtiny.federation.records import vector_of
from fedtiny.strategies.base import Parts
from fedtiny.strategies.mixed_average import MixedAverage
from fedtiny.strategies.synchronous import SynchronousStrategy, flower_keys


@final
class FedAvg(SynchronousStrategy):
    """Federated averaging: every round, the asked clients train from the global model and the server averages them."""

    combines_parts: ClassVar[bool] = True
    kind: Literal["fedavg"] = "fedavg"

    def flower_strategy(self, initial_arrays: ArrayRecord, parts: Parts | None) -> FlowerStrategy:
        """Flower's FedAvg, or for a mixed fleet the average of each element over those who train it."""
        flower = FlowerFedAvg(**flower_keys(self))
        return flower if parts is None else MixedAverage(flower, parts, vector_of(initial_arrays))
