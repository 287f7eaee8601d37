"""A client's answer to a message: the client app that runs in the simulation and on a real SuperNode.

The strategy's client half (`answer`) and the way to a client's learner are given by whoever builds the app, so this file
knows neither a strategy nor torch. All that a client keeps between messages lives in its Flower `Context`: a SuperNode
runs every message in a new process, so anything kept elsewhere would work in virtual time and fail for real.
"""

from collections.abc import Callable
from typing import Final, Protocol, cast

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedtiny.errors import SimulationError
from fedtiny.federation.grid import Effort
from fedtiny.federation.records import CONFIG, LOCAL_STEPS, PARTITION_ID, Vector

Elements = slice | np.ndarray
"""Which elements of the flat vector a client trains: an index into it, `EVERYTHING` or their positions."""
EVERYTHING: Final = slice(None)

PROGRESS = "progress"
STEPS_DONE = "steps-done"


class Learner(Protocol):
    """What a strategy's client half may ask of the client it runs on; vectors are flat, shape (trainable elements,)."""

    @property
    def number(self) -> int:
        """The client's running number, which is also its partition id."""

    @property
    def examples(self) -> int:
        """How many training examples the client holds."""

    @property
    def own(self) -> Elements:
        """Which elements of the vector this client trains: in a mixed fleet not everything that travels to it."""

    def train(self, weights: Vector, first_step: int, steps: int) -> tuple[Vector, float]:
        """Trains with the local optimizer, from step `first_step` (counted from 1). Returns all weights and the mean loss."""

    def gradient(self, weights: Vector, step: int) -> tuple[Vector, float]:
        """The gradient (own elements,) of the mean loss of batch `step` at these weights, and that loss."""

    def observe(self, step: int, weights: Vector) -> None:
        """Reports the weights after a step, once they are final."""


class Answer(Protocol):
    """A strategy's client half: message content, what the client keeps, its learner -> content of the reply."""

    def __call__(self, content: RecordDict, state: RecordDict, learner: Learner) -> RecordDict:
        """Does one piece of work; may change `state`."""


def steps_done(state: RecordDict) -> int:
    """How many local steps (gradients) this client has taken since the start of the run."""
    record = state.get(PROGRESS)
    return cast(int, record[STEPS_DONE]) if isinstance(record, ConfigRecord) else 0


def record_steps(state: RecordDict, total: int) -> None:
    """Writes down how many local steps this client has taken."""
    state[PROGRESS] = ConfigRecord({STEPS_DONE: total})


def config_of(content: RecordDict) -> ConfigRecord:
    """The configuration record of an instruction."""
    record = content.get(CONFIG)
    if not isinstance(record, ConfigRecord):
        raise SimulationError(f"the message has no configuration record {CONFIG!r}; it holds {sorted(content)}")
    return record


def asked_steps(content: RecordDict) -> int:
    """How many gradients the instruction asks for."""
    return cast(int, config_of(content)[LOCAL_STEPS])


def client_app(answer: Answer, learner_of: Callable[[Context], Learner]) -> ClientApp:
    """A Flower ClientApp that answers train messages with the strategy's client half.

    `learner_of` finds the client's data and network from its context (`partition-id` in `node_config`).
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        content = answer(message.content, context.state, learner_of(context))
        return Message(content, reply_to=message)

    return app


def partition_id(context: Context) -> int:
    """The client's running number, from the node configuration that Flower gives every node."""
    return int(cast(int, context.node_config[PARTITION_ID]))


def effort_of(
    step_effort: Callable[[int, int], tuple[float, float]], steps_of: Callable[[RecordDict, RecordDict], int]
) -> Callable[[Message, Context], Effort]:
    """What a message will cost a client.

    `step_effort(partition id, step)` gives seconds and MACs of one local step; `steps_of(content, state)` is the
    strategy's word on how many the message takes.
    """

    def effort(message: Message, context: Context) -> Effort:
        first, count = steps_done(context.state) + 1, steps_of(message.content, context.state)
        costs = [step_effort(partition_id(context), step) for step in range(first, first + count)]
        return Effort(sum(seconds for seconds, _ in costs), sum(macs for _, macs in costs))

    return effort
