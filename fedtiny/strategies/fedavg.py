"""FedAvg: Flower's own strategy, unmodified, and the client that goes with it.

    w_t = sum_i p_i w^i_t,   w^i_t = K local steps of the client's optimizer from w_{t-1}

McMahan, Moore, Ramage, Hampson, Aguera y Arcas: Communication-Efficient Learning of Deep Networks from Decentralized
Data, AISTATS 2017, Algorithm 1. The server's half is `flwr.serverapp.strategy.FedAvg`; where the devices train different
elements of one network, which Flower's cannot add up, FedTiny's own average (mixed_average.py) in Flower's loop.
"""

from typing import ClassVar, Literal

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

from fedtiny.federation.client_work import Learner, asked_steps
from fedtiny.federation.records import vector_of
from fedtiny.strategies.base import EvaluateFunction, Parts, Strategy
from fedtiny.strategies.collect import wait_for_nodes
from fedtiny.strategies.mixed_average import MixedAverage
from fedtiny.strategies.synchronous import flower_keys, run_flower, train_from_global


class FedAvg(Strategy):
    """Federated averaging: every round, the asked clients train from the global model and the server averages them."""

    combines_parts: ClassVar[bool] = True
    kind: Literal["fedavg"] = "fedavg"

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs Flower's FedAvg; see `Strategy.start`."""
        wait_for_nodes(grid, self.wanted_nodes)
        flower = FlowerFedAvg(**flower_keys(self))
        averaging = flower if parts is None else MixedAverage(flower, parts, vector_of(initial_arrays))
        run_flower(averaging, self, grid, initial_arrays, num_rounds, train_config, evaluate_fn)

    def answer(self, content: RecordDict, state: RecordDict, learner: Learner) -> RecordDict:
        """Trains from the received weights with the local optimizer and returns the new weights."""
        return train_from_global(content, state, learner)

    def steps_of(self, content: RecordDict, state: RecordDict) -> int:
        """As many as the message asks for, whatever the state."""
        return asked_steps(content)

    def client_vectors(self, local_steps: int) -> int:
        """FedAvg keeps nothing on the client between rounds."""
        return 0
