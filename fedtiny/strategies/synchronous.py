"""Synchronous rounds by Flower's own strategies: the server's loop around them, and the client that goes with them all.

Every round the asked clients train from the global model with their own optimizer and send the weights they end at. What the
server makes of those is the strategy's business: an average, a median, an average with momentum.
"""

import math
from abc import abstractmethod
from typing import Any, cast

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fedtiny.federation.client_work import Client, ClientHalf, ClientReply, asked_steps, record_steps, steps_done
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import (
    ARRAYS,
    NUM_EXAMPLES,
    PARTITION_ID,
    TRAIN_LOSS,
    UNIFORM_WEIGHT,
    values_of,
)
from fedtiny.strategies.base import EvaluateFunction, Parts, Strategy, no_replies
from fedtiny.strategies.collect import wait_for_nodes
from fedtiny.training.local_work import LocalWork


class SynchronousStrategy(Strategy):
    """A strategy of Flower's whose clients train from the global model and send the weights they end at."""

    @abstractmethod
    def flower_strategy(self, initial_arrays: ArrayRecord, parts: Parts | None) -> FlowerStrategy:
        """Flower's own object, which runs once, from these initial values; `parts` as in `Strategy.start`.

        Raises SimulationError where it cannot combine the parts of a mixed fleet.
        """

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs Flower's strategy; see `Strategy.start`."""
        flower = self.flower_strategy(initial_arrays, parts)
        wait_for_nodes(grid, self.wanted_nodes)
        run_flower(flower, self, grid, initial_arrays, num_rounds, train_config, evaluate_fn)

    def answer(self, content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
        """Trains from the received weights with the local optimizer and returns the new weights."""
        return train_from_global(content, state, client)

    def foresee(self, content: RecordDict, course: Course) -> Foresight:
        """As many steps as the message asks for, and a reply with arrays, whatever came before."""
        steps = asked_steps(content)
        course.steps += steps
        return Foresight(steps, carries_arrays=True)

    def client_vectors(self, local_steps: int) -> int:
        """Nothing is kept on the client between rounds."""
        return 0


def flower_keys(strategy: Strategy) -> dict[str, Any]:
    """What Flower's FedAvg, and all that is built on it, is told of whom to ask and how to weight them."""
    return {
        "fraction_train": strategy.fraction_train,
        "fraction_evaluate": 0.0,
        "min_train_nodes": strategy.min_train_nodes,
        "min_available_nodes": strategy.min_available_nodes,
        "weighted_by_key": strategy.weight_key,
    }


def run_flower(
    flower: FlowerStrategy,
    strategy: Strategy,
    grid: Grid,
    initial_arrays: ArrayRecord,
    num_rounds: int,
    train_config: ConfigRecord,
    evaluate_fn: EvaluateFunction,
) -> None:
    """Runs one of Flower's strategies; raises RoundError after a round without a reply."""
    previous = initial_arrays

    def version(number: int, arrays: ArrayRecord) -> None:
        # Flower goes on with the old arrays when nobody replied; here a round without replies ends the run
        nonlocal previous
        if number and arrays is previous:
            raise no_replies(number, strategy.cohort_size(len(list(grid.get_node_ids()))), strategy.timeout)
        previous = arrays
        evaluate_fn(number, arrays, 0.0)

    flower.start(
        grid=grid,
        initial_arrays=initial_arrays,
        num_rounds=num_rounds,
        timeout=math.inf if strategy.timeout is None else strategy.timeout,
        train_config=train_config,
        evaluate_fn=version,
    )


def train_from_global(content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
    """A client's answer: trains from the received weights with the local optimizer and returns its own elements of the new ones."""
    done, steps = steps_done(state), asked_steps(content)
    result = yield LocalWork(values_of(cast(ArrayRecord, content[ARRAYS])), done + 1, steps)
    record_steps(state, done + steps)
    loss = float(result.losses.sum()) / steps if steps else 0.0
    return ClientReply(client_metrics(client, loss), result.weights[client.own])


def client_metrics(client: Client, loss: float) -> dict[str, int | float]:
    """What a client tells about its work beside the arrays."""
    return {NUM_EXAMPLES: client.examples, UNIFORM_WEIGHT: 1.0, PARTITION_ID: client.number, TRAIN_LOSS: loss}
