"""Synchronous rounds by Flower's own strategies: the server's half around them, and the client that goes with them all.

Every round the asked clients train from the global model with their own optimizer and send the weights they end at. What the
server makes of those is the strategy's business: an average, a median, an average with momentum. What a strategy wants of its clients
beside that is said in the instruction, as in Flower: a proximal term, the loss of the received weights, a bound on what is sent.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import Client, ClientHalf, ClientReply, asked_steps, config_of, record_steps, steps_done
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import ARRAYS, LOCAL_STEPS, NUM_EXAMPLES, PARTITION_ID, TRAIN_LOSS, UNIFORM_WEIGHT, Vector, values_of
from fedtiny.strategies.base import EvaluateFunction, Parts, Strategy
from fedtiny.strategies.collect import members, wait_for_nodes
from fedtiny.strategies.flower_loop import run_flower
from fedtiny.strategies.round_rates import LEARNING_RATE
from fedtiny.training.local_work import LocalWork

PROXIMAL_MU: Final = "proximal-mu"
"""Flower's key: the weight of a proximal term."""
CLIPPING_NORM: Final = "clipping_norm"
"""Flower's key: how far the sent weights may be from the received ones, in the 2-norm."""
LOSS_AT_START: Final = "loss-at-start"
"""Ours: whether the reply's train loss is that of the first batch, at the received weights, and not the mean over the steps."""


@dataclass(frozen=True)
class Beginning:
    """What Flower's object is made from, once, when a run begins."""

    arrays: ArrayRecord
    """The initial values."""
    asked: int
    """How many clients a round asks."""
    train_config: ConfigRecord
    parts: Parts | None = None
    """As in `Strategy.start`."""


class FlowerRounds(Strategy):
    """A strategy of Flower's whose clients train from the global model and send the weights they end at."""

    @abstractmethod
    def flower_strategy(self, beginning: Beginning) -> FlowerStrategy:
        """Flower's own object, which runs once. Raises ScenarioError where so many clients are too few for it."""

    @abstractmethod
    def instruction_extras(self) -> dict[str, int | float | bool | str]:
        """What instructions say beside the rest, in the keys that `train_from_global` knows."""

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs Flower's strategy; see `Strategy.start`. Raises SimulationError where it cannot combine the parts of a mixed fleet."""
        if parts is not None and not self.combines_parts:
            raise SimulationError("this strategy combines clients that all train the same elements: run it without parts")
        wait_for_nodes(grid, self.wanted_nodes)
        asked = self.cohort_size(len(members(grid)))
        flower = self.flower_strategy(Beginning(initial_arrays, asked, train_config, parts))
        config = ConfigRecord({**train_config, **self.instruction_extras()})
        run_flower(flower, self, grid, initial_arrays, num_rounds, config, evaluate_fn)

    def answer(self, content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
        """Trains from the received weights with the local optimizer and returns the new weights."""
        return train_from_global(content, state, client)

    def foresee(self, content: RecordDict, course: Course) -> Foresight:
        """As many steps as the message asks for, and a reply with arrays, whatever came before."""
        return foreseen(asked_steps(content), course)


class SynchronousStrategy(FlowerRounds):
    """One that wants nothing of its clients but the weights."""

    def instruction_extras(self) -> dict[str, int | float | bool | str]:
        """Nothing."""
        return {}

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


def foreseen(asked: int, course: Course) -> Foresight:
    """What `train_from_global` does about a message that asks for so many steps: those of the device's pace, and a reply with arrays."""
    steps = course.pace.through(asked)
    course.steps += steps
    return Foresight(steps, carries_arrays=True)


def train_from_global(content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
    """A client's answer: trains from the received weights with the local optimizer and returns its own elements of the new ones."""
    done, config = steps_done(state), config_of(content)
    asked = cast(int, config[LOCAL_STEPS])
    steps, scale = client.pace.through(asked), client.pace.scale(asked)
    received = values_of(cast(ArrayRecord, content[ARRAYS]))
    rate = cast(float | None, config.get(LEARNING_RATE))
    result = yield LocalWork(received, done + 1, steps, proximal=cast(float, config.get(PROXIMAL_MU, 0.0)), learning_rate=rate)
    record_steps(state, done + steps)
    told = result.losses[:1] if config.get(LOSS_AT_START, False) else result.losses
    loss = float(told.sum()) / len(told) if steps else 0.0
    sent = result.weights[client.own]
    if scale != 1.0:
        sent = received[client.own] + (sent - received[client.own]) * sent.dtype.type(scale)
    if CLIPPING_NORM in config:
        sent = clipped(sent, received[client.own], cast(float, config[CLIPPING_NORM]))
    return ClientReply(client_metrics(client, loss), sent)


def clipped(sent: Vector, received: Vector, norm: float) -> Vector:
    """The weights at most so far from the received ones: w_0 + (w - w_0) min(1, norm / |w - w_0|), bit for bit as Flower's
    `fixedclipping_mod` does on a SuperNode; it fails where w = w_0, which here stays."""
    update = sent - received
    length = float(np.sqrt(np.linalg.norm(update) ** 2))
    update *= min(1, norm / length) if length else 1
    clipped_weights: Vector = received + update
    return clipped_weights


def client_metrics(client: Client, loss: float) -> dict[str, int | float]:
    """What a client tells about its work beside the arrays."""
    return {NUM_EXAMPLES: client.examples, UNIFORM_WEIGHT: 1.0, PARTITION_ID: client.number, TRAIN_LOSS: loss}
