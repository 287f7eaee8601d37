"""FedAvg: Flower's own strategy, unmodified, and the client that goes with it.

    w_t = sum_i p_i w^i_t,   w^i_t = K local steps of the client's optimizer from w_{t-1}

McMahan, Moore, Ramage, Hampson, Aguera y Arcas: Communication-Efficient Learning of Deep Networks from Decentralized
Data, AISTATS 2017, Algorithm 1. The server's half is `flwr.serverapp.strategy.FedAvg`.
"""

import math
from typing import Literal

from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

from fedtiny.federation.client_work import Learner, asked_steps, record_steps, steps_done
from fedtiny.federation.records import (
    ARRAYS,
    METRICS,
    NUM_EXAMPLES,
    PARTITION_ID,
    TRAIN_LOSS,
    UNIFORM_WEIGHT,
    array_record,
    vector_of,
)
from fedtiny.strategies.base import EvaluateFunction, Strategy, no_replies
from fedtiny.strategies.collect import wait_for_nodes


class FedAvg(Strategy):
    """Federated averaging: every round, the asked clients train from the global model and the server averages them."""

    kind: Literal["fedavg"] = "fedavg"

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
    ) -> None:
        """Runs Flower's FedAvg; see `Strategy.start`."""
        wait_for_nodes(grid, self.wanted_nodes)
        flower = FlowerFedAvg(
            fraction_train=self.fraction_train,
            fraction_evaluate=0.0,
            min_train_nodes=self.min_train_nodes,
            min_available_nodes=self.min_available_nodes,
            weighted_by_key=self.weight_key,
        )
        previous = initial_arrays

        def version(number: int, arrays: ArrayRecord) -> None:
            # Flower goes on with the old arrays when nobody replied; here a round without replies ends the run
            nonlocal previous
            if number and arrays is previous:
                raise no_replies(number, self.cohort_size(len(list(grid.get_node_ids()))), self.timeout)
            previous = arrays
            evaluate_fn(number, arrays, 0.0)

        flower.start(
            grid=grid,
            initial_arrays=initial_arrays,
            num_rounds=num_rounds,
            timeout=math.inf if self.timeout is None else self.timeout,
            train_config=train_config,
            evaluate_fn=version,
        )

    def answer(self, content: RecordDict, state: RecordDict, learner: Learner) -> RecordDict:
        """Trains from the received weights with the local optimizer and returns the new weights."""
        weights, steps = vector_of(content.array_records[ARRAYS]), asked_steps(content)
        done = steps_done(state)
        weights, loss = learner.train(weights, done + 1, steps)
        record_steps(state, done + steps)
        return RecordDict({ARRAYS: array_record(weights), METRICS: client_metrics(learner, loss)})

    def steps_of(self, content: RecordDict, state: RecordDict) -> int:
        """As many as the message asks for, whatever the state."""
        return asked_steps(content)

    def client_vectors(self, local_steps: int) -> int:
        """FedAvg keeps nothing on the client between rounds."""
        return 0


def client_metrics(learner: Learner, loss: float) -> MetricRecord:
    """What a client tells about its work beside the arrays."""
    return MetricRecord({NUM_EXAMPLES: learner.examples, UNIFORM_WEIGHT: 1.0, PARTITION_ID: learner.number, TRAIN_LOSS: loss})
