"""A client's answer to a message: the client app that runs in the simulation and on a real SuperNode.

The strategy's client half (`answer`) and the way to a client's learner are given by whoever builds the app, so this file
knows neither a strategy nor torch. A client half does not train: it says which local steps it wants taken (LocalWork), so that
one client at a time, many in one pass, or another process can take them. All that a client keeps between messages lives in its
Flower `Context`: a SuperNode runs every message in a new process, so anything kept elsewhere would work in virtual time and fail
for real.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedtiny.errors import SimulationError
from fedtiny.federation.flower_internals import PendingReply, entries, put
from fedtiny.federation.records import ARRAYS, CONFIG, LOCAL_STEPS, METRICS, PARTITION_ID, Vector, array_record, values_of
from fedtiny.training.local_work import LocalResult, LocalWork
from fedtiny.training.pace import Pace

Elements = slice | np.ndarray
"""Which elements of the flat vector a client trains: an index into it, `EVERYTHING` or their positions."""
EVERYTHING: Final = slice(None)

PROGRESS = "progress"
STEPS_DONE = "steps-done"


class Client(Protocol):
    """What a strategy's client half may know of the client it runs on; vectors are flat, shape (trainable elements,)."""

    @property
    def number(self) -> int:
        """The client's running number, which is also its partition id."""

    @property
    def examples(self) -> int:
        """How many training examples the client holds."""

    @property
    def own(self) -> Elements:
        """Which elements of the vector this client trains: in a mixed fleet not everything that travels to it."""

    @property
    def pace(self) -> Pace:
        """How many steps it takes where some are asked for."""

    def observe(self, step: int, weights: Vector) -> None:
        """Reports the weights after a step, once they are final."""


class Learner(Client, Protocol):
    """A client that can also take local steps, here and now."""

    def do(self, work: LocalWork) -> LocalResult:
        """Takes the local steps that are asked for."""


@dataclass(frozen=True, eq=False, slots=True)
class ClientReply:
    """What a client answers, before it is encoded."""

    metrics: dict[str, int | float]
    arrays: Vector | None = None
    """(own elements,); None where the reply carries metrics alone. Nobody writes to it."""


def content_of(reply: ClientReply) -> RecordDict:
    """The records of a reply, as they travel."""
    metrics = MetricRecord({**reply.metrics})
    return RecordDict({METRICS: metrics} if reply.arrays is None else {ARRAYS: array_record(reply.arrays), METRICS: metrics})


def read_reply(message: Message) -> ClientReply:
    """What a client answered, of a message without an error; to be asked once. In a simulation nothing is encoded for it."""
    if isinstance(message, PendingReply):
        taken: ClientReply = message.take()
        return taken
    content = message.content
    arrays = values_of(cast(ArrayRecord, content[ARRAYS])) if ARRAYS in content else None
    return ClientReply(cast(dict[str, int | float], dict(cast(MetricRecord, content[METRICS]))), arrays)


ClientHalf = Generator[LocalWork, LocalResult, ClientReply]
"""A strategy's client half at work: yields the local steps it wants taken, is sent what they gave, returns its answer."""


class Answer(Protocol):
    """A strategy's client half: message content, what the client keeps, the client -> its answer in the making."""

    def __call__(self, content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
        """Begins one piece of work; may change `state`."""


def answered(half: ClientHalf, do: Callable[[LocalWork], LocalResult]) -> ClientReply:
    """The answer, with every wish for local steps granted at once."""
    try:
        work = next(half)
        while True:
            work = half.send(do(work))
    except StopIteration as finished:
        return cast(ClientReply, finished.value)


def steps_done(state: RecordDict) -> int:
    """How many local steps (gradients) this client has taken since the start of the run."""
    record = entries(state).get(PROGRESS)
    return cast(int, entries(record)[STEPS_DONE]) if isinstance(record, ConfigRecord) else 0


def record_steps(state: RecordDict, total: int) -> None:
    """Writes down how many local steps this client has taken."""
    record = entries(state).get(PROGRESS)
    if isinstance(record, ConfigRecord):
        put(record, STEPS_DONE, total)
    else:
        state[PROGRESS] = ConfigRecord({STEPS_DONE: total})


def config_of(content: RecordDict) -> Mapping[str, Any]:
    """What the configuration record of an instruction says."""
    record = entries(content).get(CONFIG)
    if not isinstance(record, ConfigRecord):
        raise SimulationError(f"the message has no configuration record {CONFIG!r}; it holds {sorted(content)}")
    return entries(record)


def asked_steps(content: RecordDict) -> int:
    """How many gradients the instruction asks for, of a device of median speed; others go by their pace."""
    return cast(int, config_of(content)[LOCAL_STEPS])


def client_app(answer: Answer, learner_of: Callable[[Context], Learner]) -> ClientApp:
    """A Flower ClientApp that answers train messages with the strategy's client half.

    `learner_of` finds the client's data and network from its context (`partition-id` in `node_config`).
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        learner = learner_of(context)
        reply = answered(answer(message.content, context.state, learner), learner.do)
        return Message(content_of(reply), reply_to=message)

    return app


def partition_id(context: Context) -> int:
    """The client's running number, from the node configuration that Flower gives every node."""
    return int(cast(int, context.node_config[PARTITION_ID]))
