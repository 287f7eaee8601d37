"""The server's loop around one of Flower's strategies, which stays as it is.

Three things are seen to. A round that nobody answered ends the run, where Flower would go on with the old model. A round whose
replies the strategy makes nothing of (Bulyan wants a minimum of them, differential privacy wants no errors) leaves the model as it
was, as Flower does, and its contributions count as lost. And the model keeps its element type: some of Flower's strategies compute
in float64 and would then send vectors twice as long.
"""

import gc
import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy as FlowerStrategy

from fedtiny.federation.records import TRAINABLE, array_record, values_of
from fedtiny.strategies.base import EvaluateFunction, Strategy, no_replies
from fedtiny.strategies.collect import gather
from fedtiny.strategies.round_rates import LEARNING_RATE, for_messages, rates_of
from fedtiny.training.schedule import Rates

_log = logging.getLogger("flwr")


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
    watched = Watched(flower, strategy, initial_arrays[TRAINABLE].dtype, rates_of(train_config) if LEARNING_RATE in train_config else None)

    def version(number: int, arrays: ArrayRecord) -> None:
        evaluate_fn(number, arrays, float(watched.skipped))

    with _quick_collections():
        watched.start(
            grid=grid,
            initial_arrays=initial_arrays,
            num_rounds=num_rounds,
            timeout=math.inf if strategy.timeout is None else strategy.timeout,
            train_config=for_messages(train_config),
            evaluate_fn=version,
        )


@contextmanager
def _quick_collections() -> Iterator[None]:
    """Some of Flower's strategies collect garbage for every reply that they read, which takes 0.3 s where torch is loaded: what was there
    before the run is left out of it."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class Watched(FlowerStrategy):
    """One of Flower's strategies with its rounds counted, each of which is sent its learning rate."""

    def __init__(self, inner: FlowerStrategy, strategy: Strategy, element: str, rates: Rates | None = None) -> None:
        self.inner, self.strategy, self.element, self.rates = inner, strategy, element, rates
        self.asked = self.skipped = 0

    def configure_train(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Whom the strategy asks, and what, as soon as enough devices are there."""
        gather(grid, self.strategy.wanted_nodes)
        if self.rates is not None:
            config[LEARNING_RATE] = self.rates(server_round)
        messages = list(self.inner.configure_train(server_round, arrays, config, grid))
        self.asked = len(messages)
        return messages

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """What the strategy makes of the replies."""
        came = list(replies)
        if all(reply.has_error() for reply in came):
            raise no_replies(server_round, self.asked, self.strategy.timeout)
        arrays, metrics = self.inner.aggregate_train(server_round, came)
        if arrays is None:
            self.skipped += 1
            _log.warning("round %d: the strategy made no model of %d replies; the old one stays", server_round, len(came))
        elif arrays[TRAINABLE].dtype != self.element:
            arrays = array_record(values_of(arrays).astype(self.element))
        return arrays, metrics

    def configure_evaluate(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> Iterable[Message]:
        """Nobody: the server evaluates."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nothing."""
        return None

    def summary(self) -> None:
        """Logs what the strategy says of itself."""
        self.inner.summary()
