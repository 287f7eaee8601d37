"""Strategies that do not wait for everybody: what FedAsync, FedBuff and semi-synchronous rounds have in common.

Clients do what FedAvg's do: they take K local steps from the model that they are sent, and send the weights they end at. The server
sends a model of version v with the round v + 1 on it, the version that the reply would go into if it were fresh; the reply's
staleness is how many versions later it is used (staleness.py). Learning rates that change go by that round.
"""

from abc import abstractmethod
from typing import Annotated

from flwr.app import ArrayRecord, ConfigRecord, RecordDict
from flwr.serverapp import Grid
from pydantic import Field

from fedtiny.errors import RoundError
from fedtiny.federation.client_work import Client, ClientHalf, asked_steps
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import Vector, vector_of
from fedtiny.strategies.base import EvaluateFunction, Parts, Positive, Strategy, no_replies
from fedtiny.strategies.collect import wait_for_nodes
from fedtiny.strategies.correspondence import Correspondence, GridCorrespondence, Instructions, Letter, ServerModel
from fedtiny.strategies.free_devices import FreeDevices
from fedtiny.strategies.synchronous import PROXIMAL_MU, foreseen, train_from_global

_PATIENCE = 100
"""So many messages that fail one after another, or ten for each device at work, end a run: nobody will answer."""


class AsynchronousStrategy(Strategy):
    """A strategy whose server goes on with the replies that are there."""

    proximal_mu: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Weight of a pull of the clients back to the weights that they were sent; 0: none."""

    @property
    @abstractmethod
    def oldest_reply(self) -> float | None:
        """By how many versions a reply may be behind, perhaps infinity; None where replies go into the version of their round or none."""

    @abstractmethod
    def server_model(self, start: Vector) -> ServerModel:
        """How versions are made, from the initial values on."""

    @abstractmethod
    def serve(self, letters: Correspondence, versions: int) -> None:
        """The server's loop until so many versions are made, without vectors. Raises RoundError if nobody answers."""

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int,
        train_config: ConfigRecord,
        evaluate_fn: EvaluateFunction,
        parts: Parts | None = None,
    ) -> None:
        """Runs until `num_rounds` versions are made; see `Strategy.start`."""
        wait_for_nodes(grid, self.wanted_nodes)
        told = Instructions(train_config, self.instruction_extras(), self.weight_key, parts)
        self.serve(GridCorrespondence(grid, self.server_model(vector_of(initial_arrays)), told, evaluate_fn), num_rounds)

    def instruction_extras(self) -> dict[str, int | float | bool | str]:
        """What instructions say beside the rest: the pull, if there is one."""
        return {PROXIMAL_MU: self.proximal_mu} if self.proximal_mu else {}

    def answer(self, content: RecordDict, state: RecordDict, client: Client) -> ClientHalf:
        """Trains from the received weights with the local optimizer and returns the new weights."""
        return train_from_global(content, state, client)

    def foresee(self, content: RecordDict, course: Course) -> Foresight:
        """As many steps as the message asks for, and a reply with arrays, whatever came before."""
        return foreseen(asked_steps(content), course)

    def client_vectors(self, local_steps: int) -> int:
        """The weights that the client was sent, where they pull."""
        return int(self.proximal_mu > 0)


def oldest_reply_of(strategy: Strategy) -> float | None:
    """By how many versions a strategy's replies may be behind; None where it works in rounds."""
    return strategy.oldest_reply if isinstance(strategy, AsynchronousStrategy) else None


class BufferedStrategy(AsynchronousStrategy):
    """One that keeps so many devices at work, and makes a version whenever so many of them have replied."""

    max_in_flight: Positive | None = None
    """How many devices are at work at any time; left out: fraction_train of all."""
    most_staleness: Annotated[int, Field(ge=0)] | None = None
    """Replies that are more versions behind are dropped, and their devices free again; left out: none are."""

    @property
    @abstractmethod
    def replies_per_version(self) -> int:
        """How many replies make a version."""

    @property
    def oldest_reply(self) -> float | None:
        """By how many versions a reply may be behind."""
        return float("inf") if self.most_staleness is None else self.most_staleness

    def serve(self, letters: Correspondence, versions: int) -> None:
        """The server's loop; see `Buffering`."""
        Buffering(self, letters).run(versions)


class Buffering:
    """The server's loop of a buffered strategy.

    A device that has replied is replaced by a free one, drawn evenly, as soon as nothing else arrives at that instant or a version
    is made: replies that come together go into one version, or into versions one after another, before anybody is asked again.
    """

    def __init__(self, strategy: BufferedStrategy, letters: Correspondence) -> None:
        self.strategy, self.letters = strategy, letters
        self.free = FreeDevices(letters.nodes, letters.sample, letters.is_there)
        self.wanted = min(strategy.max_in_flight or strategy.cohort_size(len(letters.nodes)), len(letters.nodes))
        self.at_work = self.in_buffer = self.failures = 0

    def run(self, versions: int) -> None:
        """Makes so many versions; RoundError if nobody answers."""
        self.letters.publish(0)
        if versions:
            self.letters.gather(self.strategy.wanted_nodes)
        for version in range(1, versions + 1):
            self._ask(version - 1)
            self._fill(version)
            self.letters.publish(version)

    def _ask(self, version: int) -> None:
        chosen = self.free.take(self.wanted - self.at_work)
        if chosen:
            self.letters.send(chosen, version)
            self.at_work += len(chosen)

    def _ask_somebody(self, version: int) -> None:
        """Asks who is there, and where nobody is at work and nobody is there, waits until somebody is."""
        self._ask(version)
        while not self.at_work:
            self.letters.gather(1)
            self._ask(version)

    def _fill(self, version: int) -> None:
        """Waits until the buffer is full, or the timeout with anything in it."""
        began, timeout = self.letters.now, self.strategy.timeout
        self.in_buffer = 0
        while self.in_buffer < self.strategy.replies_per_version:
            came = self.letters.first(0.0)
            if came is None:
                self._ask_somebody(version - 1)
                came = self.letters.first(None if timeout is None else max(0.0, began + timeout - self.letters.now))
            if came is not None:
                self._receive(came, version)
            elif self.in_buffer:
                return
            else:
                raise no_replies(version, self.at_work, timeout)

    def _receive(self, came: Letter, version: int) -> None:
        self.at_work -= 1
        self.free.give_back(came.node)
        staleness, most = version - 1 - came.version, self.strategy.most_staleness
        if came.failed:
            require_answers(self.failures + 1, self.wanted, version)
            self.failures += 1
        elif most is None or staleness <= most:
            self.letters.use(came, staleness)
            self.in_buffer += 1
            self.failures = 0


def require_answers(failures: int, at_work: int, version: int) -> None:
    """Raises RoundError where so many messages have failed one after another that nobody will answer."""
    if failures >= max(_PATIENCE, 10 * at_work):
        raise RoundError(
            f"round {version}: {failures} messages failed one after another; raise strategy.message_lifetime, or look at the outcomes in "
            "activities.parquet"
        )
