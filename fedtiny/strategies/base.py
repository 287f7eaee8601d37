"""What every strategy is: a server's loop over a Flower Grid, and a client's answer to its messages.

A strategy is a part of the scenario and also the object that runs: ``DGA(delay=5).start(grid, arrays, ...)`` works on
any Grid, virtual or real, as Flower's own strategies do.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, Protocol

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from pydantic import Field

from fedtiny.errors import RoundError
from fedtiny.federation.client_work import Client, ClientHalf
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import NUM_EXAMPLES, UNIFORM_WEIGHT
from fedtiny.parts import Part
from fedtiny.units import PositiveSeconds
from fedtiny.updates.layout import Positions

Parts = Mapping[int, Positions]
"""In a mixed fleet: by client number, which elements of the vector that client trains and sends."""

Positive = Annotated[int, Field(ge=1)]


class EvaluateFunction(Protocol):
    """Called with (round, arrays, lost mass, delay) for every version of the global model; round 0 is the initial one.

    Lost mass is the sum of the weights p_i of contributions so far that no version will ever contain; 0 for FedAvg, whose
    weights are those of the clients that came. The delay is that of the round, in local steps; None for strategies without one.
    """

    def __call__(self, number: int, arrays: ArrayRecord, lost_mass: float, delay: int | None = None, /) -> None:
        """A version was made."""


class Strategy(Part):
    """How the server combines what clients send, and what clients do about it."""

    combines_parts: ClassVar[bool]
    """Whether the server can combine clients that train different elements; if not, it runs without `parts` only."""

    fraction_train: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the devices that is asked in a round."""
    min_train_nodes: Positive = 1
    """At least so many devices are asked in a round, whatever the share."""
    min_available_nodes: Positive = 1
    """At least so many devices must take part."""
    weighting: Literal["examples", "uniform"] = "examples"
    """Clients count by their number of training examples, or all the same."""
    timeout: PositiveSeconds | None = None
    """Virtual time the server waits for a round's replies; none: for ever."""
    message_lifetime: PositiveSeconds | None = None
    """Virtual time a message and its reply are valid; none: for ever."""

    @abstractmethod
    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs the server's loop for `num_rounds` rounds.

        `train_config` must hold `local-steps` (K); strategies that need it also read `learning-rate`. `parts` says what
        each client of a mixed fleet trains; without it all train everything in `initial_arrays`. Raises RoundError if a round
        ends without a single reply.
        """

    @abstractmethod
    def answer(self, content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
        """The client's half: one piece of work. `state` stays on the client."""

    @abstractmethod
    def foresee(self, content: RecordDict, course: Course) -> Foresight:
        """What a client's answer to the message will be like; moves its `course` past it. Messages come in the client's order."""

    @abstractmethod
    def client_vectors(self, local_steps: int) -> int:
        """How many vectors of trainable size a client keeps for the strategy beside its weights and gradient."""

    def cohort_size(self, nodes: int) -> int:
        """How many of `nodes` devices are asked in a round, as Flower's FedAvg counts them."""
        return max(int(nodes * self.fraction_train), self.min_train_nodes)

    @property
    def wanted_nodes(self) -> int:
        """How many devices must take part before the first round begins."""
        return max(self.min_available_nodes, self.min_train_nodes)

    @property
    def weight_key(self) -> str:
        """The key in a reply's metrics by which clients are weighted."""
        return NUM_EXAMPLES if self.weighting == "examples" else UNIFORM_WEIGHT


def require_devices(wanted: int, found: int) -> None:
    """Raises RoundError where a strategy waits for more devices than there will ever be."""
    if found < wanted:
        raise RoundError(
            f"the strategy waits for {wanted} devices and {found} take part: lower strategy.min_available_nodes and "
            "min_train_nodes, or let more devices take part"
        )


def no_replies(number: int, asked: int, timeout: float | None) -> RoundError:
    """The error of a round that nobody answered."""
    limit = "" if timeout is None else f" within strategy.timeout = {timeout:g} s of virtual time"
    return RoundError(
        f"round {number}: none of the {asked} devices that were asked replied{limit}; "
        "raise strategy.timeout or strategy.message_lifetime where they are slow; where they drop out, leave or run empty, let more "
        "of them come back or be charged, or end the run before, with stop.rounds or stop.virtual_time"
    )
