"""The timing half of the strategies that do not wait for everybody: their own loops, with sizes in place of messages."""

from collections.abc import Sequence
from typing import cast

from fedtiny.federation.records import LOCAL_STEPS, ROUND
from fedtiny.simulation.exchange import Exchange, Instruction
from fedtiny.strategies.asynchronous import AsynchronousStrategy
from fedtiny.strategies.base import Strategy
from fedtiny.strategies.correspondence import Letter
from fedtiny.strategies.round_rates import LEARNING_RATE
from fedtiny.strategies.timing import Terms, gather


def run(strategy: Strategy, exchange: Exchange, terms: Terms) -> None:
    """Runs the strategy's loop; raises RoundError if nobody answers."""
    asynchronous = cast(AsynchronousStrategy, strategy)
    asynchronous.serve(TimedCorrespondence(asynchronous, exchange, terms), terms.rounds)


class TimedCorrespondence:
    """Letters without content."""

    def __init__(self, strategy: AsynchronousStrategy, exchange: Exchange, terms: Terms) -> None:
        self.exchange, self.terms, self.nodes = exchange, terms, terms.nodes
        config = {LOCAL_STEPS: terms.local_steps, LEARNING_RATE: terms.learning_rate, ROUND: 1, **strategy.instruction_extras()}
        self._size, self._payload = terms.forms.instruction(config, arrays=True)
        exchange.open_inbox()

    @property
    def now(self) -> float:
        """See `Correspondence.now`."""
        return self.exchange.now

    def sample(self, devices: Sequence[int], count: int) -> list[int]:
        """See `Correspondence.sample`."""
        return self.terms.sample(devices, count)

    def gather(self, wanted: int) -> Sequence[int]:
        """See `Correspondence.gather`."""
        return gather(self.exchange, self.terms, wanted)

    def is_there(self, node: int) -> bool:
        """See `Correspondence.is_there`."""
        return self.exchange.roll is None or self.exchange.roll.is_present(node, self.exchange.now)

    def send(self, nodes: Sequence[int], version: int) -> None:
        """See `Correspondence.send`."""
        instruction = Instruction(version + 1, "train", self.terms.local_steps, True, self._size, self._payload)
        self.exchange.push((node, instruction) for node in nodes)

    def first(self, timeout: float | None) -> Letter | None:
        """See `Correspondence.first`."""
        errand = self.exchange.wait_for_any(timeout)
        return None if errand is None else Letter(errand.number, errand.round - 1, errand.expired)

    def use(self, letter: Letter, staleness: int) -> None:
        """Nothing: what becomes of replies takes no virtual time."""

    def publish(self, version: int) -> None:
        """See `Correspondence.publish`."""
        self.terms.on_version(version)
