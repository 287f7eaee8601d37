"""Flower's own strategies, unmodified, beside FedAvg: a median, a trimmed mean and an average with momentum.

They work element by element, so they take FedTiny's flat vector as it is. They want the same elements from every client: a median
over those who happen to train an element is another estimator for every element, so mixed fleets are refused.

| kind | new value of an element | citation |
|---|---|---|
| fedmedian | the median of the clients' values | Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates, ICML 2018, definition 1 |
| fedtrimmedavg | the mean without the int(beta n) largest and smallest of n values | the same, definition 2 |
| fedavgm | a step of SGD with momentum on w - (weighted mean of the clients' values) | Hsu, Qi, Brown: Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification, arXiv 1909.06335, section 4.3 |

Medians and trimmed means count every client once, whatever `weighting` says.
"""  # noqa: E501

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, final

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp import strategy as flower
from pydantic import Field

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import Learner, asked_steps
from fedtiny.strategies.base import EvaluateFunction, Parts, Strategy
from fedtiny.strategies.collect import wait_for_nodes
from fedtiny.strategies.synchronous import flower_keys, run_flower, train_from_global


class SynchronousStrategy(Strategy):
    """A strategy of Flower's whose clients train from the global model and send the weights they end at."""

    combines_parts: ClassVar[bool] = False

    @abstractmethod
    def flower_strategy(self) -> flower.Strategy:
        """Flower's own object, which runs once."""

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs Flower's strategy; raises SimulationError for a mixed fleet. See `Strategy.start`."""
        if parts is not None:
            raise SimulationError("this strategy combines clients that all train the same elements: run it without parts")
        wait_for_nodes(grid, self.wanted_nodes)
        run_flower(self.flower_strategy(), self, grid, initial_arrays, num_rounds, train_config, evaluate_fn)

    def answer(self, content: RecordDict, state: RecordDict, learner: Learner) -> RecordDict:
        """Trains from the received weights with the local optimizer and returns the new weights."""
        return train_from_global(content, state, learner)

    def steps_of(self, content: RecordDict, state: RecordDict) -> int:
        """As many as the message asks for, whatever the state."""
        return asked_steps(content)

    def client_vectors(self, local_steps: int) -> int:
        """Nothing is kept on the client between rounds."""
        return 0


@final
class FedMedian(SynchronousStrategy):
    """The median of the clients' weights, element by element: a few wrong clients cannot move it far."""

    kind: Literal["fedmedian"] = "fedmedian"

    def flower_strategy(self) -> flower.Strategy:
        """Flower's FedMedian."""
        return flower.FedMedian(**flower_keys(self))


@final
class FedTrimmedAvg(SynchronousStrategy):
    """The mean of the clients' weights without the extreme ones, element by element."""

    kind: Literal["fedtrimmedavg"] = "fedtrimmedavg"
    beta: Annotated[float, Field(ge=0, lt=0.5)] = 0.2
    """The share of the clients that is left out at each end, rounded down to whole clients."""

    def flower_strategy(self) -> flower.Strategy:
        """Flower's FedTrimmedAvg."""
        return flower.FedTrimmedAvg(**flower_keys(self), beta=self.beta)


@final
class FedAvgM(SynchronousStrategy):
    """Federated averaging whose server keeps momentum from round to round."""

    kind: Literal["fedavgm"] = "fedavgm"
    server_learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """The server's step size."""
    server_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """The share of the server's last step that is kept; 0, with a step size of 1, is FedAvg."""

    def flower_strategy(self) -> flower.Strategy:
        """Flower's FedAvgM."""
        return flower.FedAvgM(**flower_keys(self), server_learning_rate=self.server_learning_rate, server_momentum=self.server_momentum)
