"""DGA's timing half: its orders as sizes, its collecting as arrivals (see dga.py, and dga_server.py for the vectors).

A reply of *after* and *whole* carries a sum unless the client lacked what the piece builds on; what becomes of the sums takes no
virtual time. Whom the server brings back with a whole model depends on which replies came, and on nothing in them.
"""

from functools import cache
from typing import cast

from fedtiny.errors import ScenarioError
from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import LOCAL_STEPS, ROUND
from fedtiny.simulation.exchange import Errand, Exchange, Instruction
from fedtiny.strategies.base import Strategy, no_replies
from fedtiny.strategies.delay_choice import DriftDelay
from fedtiny.strategies.dga import DGA
from fedtiny.strategies.dga_client import APPLIED, AWAITS_AVERAGE, PIECE, STARTS, foreseen
from fedtiny.strategies.dga_orders import Order, Orders
from fedtiny.strategies.message_forms import Size
from fedtiny.strategies.round_rates import LEARNING_RATE, SUMS_UPDATES
from fedtiny.strategies.round_trips import Reply
from fedtiny.strategies.timing import Terms, gather


def run(strategy: Strategy, exchange: Exchange, terms: Terms) -> None:
    """Runs the rounds; raises RoundError after a round without a sum, and ScenarioError where the delay goes by what is learned."""
    if isinstance(cast(DGA, strategy).delay, DriftDelay):
        raise ScenarioError(
            "delay: drift is chosen by how far clients drift apart, which is not known without learning: plan with delay: auto, whose "
            "delay it never exceeds, or run it",
            ("strategy", "delay"),
        )
    server = _Server(cast(DGA, strategy), exchange, terms)
    terms.on_version(0)
    server.push(server.orders.start())
    for number in range(1, terms.rounds + 1):
        server.collect(number)
        terms.on_version(number, server.orders.delay(number))
        server.push(server.orders.after(number))


def foresee(instruction: Instruction, course: Course) -> Foresight:
    """No steps if the client lacks what the piece builds on, and a sum at the end of a round."""
    return foreseen(course, instruction.piece, instruction.round, instruction.steps, starts=instruction.starts)


class _Server:
    """DGAServer without vectors."""

    def __init__(self, strategy: DGA, exchange: Exchange, terms: Terms) -> None:
        self.strategy, self.exchange, self.terms = strategy, exchange, terms
        self.chooser = strategy.chooser(terms.local_steps)
        schedule = strategy.schedule(terms.local_steps, self.chooser)
        self.orders = Orders(schedule, terms.rounds, self._sampled)
        self._size = cache(self._counted)
        self._rounds: dict[int, list[Errand]] = {}
        self._pushed: dict[int, float] = {}
        self._behind: dict[Errand, None] = {}
        self._collected_at = exchange.now

    def _sampled(self) -> list[int]:
        there = gather(self.exchange, self.terms, self.strategy.wanted_nodes)
        return sorted(self.terms.sample(there, self.strategy.cohort_size(len(there))))

    def push(self, orders: list[Order]) -> None:
        """Sends what was ordered, in one burst for each device."""
        errands = self.exchange.push((order.node, self._instruction(order)) for order in orders)
        for errand in errands:
            if self.chooser is not None:
                instruction = errand.instruction
                self.chooser.trips.pushed(errand.number, errand.round, instruction.piece, instruction.steps, self.exchange.now)
            if errand.instruction.piece == "before":
                self._behind[errand] = None
            else:
                self._rounds.setdefault(errand.round, []).append(errand)
                self._pushed[errand.round] = self.exchange.now

    def collect(self, number: int) -> None:
        """Waits for the sums of a round; RoundError if there are none to average."""
        pieces = self._rounds.pop(number, [])
        in_time = self.exchange.wait(pieces, self._patience(number))
        last, self._collected_at = self.exchange.last_arrival, self.exchange.now
        late = self.exchange.wait(list(self._behind), 0.0)
        self.exchange.last_arrival = last
        if self.chooser is not None:
            self.chooser.trips.tell(
                Reply(errand.number, errand.round, errand.instruction.piece, errand.arrived_at, failed=errand.expired)
                for errand in (*in_time, *late)
            )
        for errand in late:
            del self._behind[errand]
        # what came for this round while the late ones were looked at is late itself
        came = set(in_time)
        self._behind |= dict.fromkeys(errand for errand in pieces if errand not in came)
        sums, late_sums = self._sums(in_time), self._sums(late)
        if not sums and not (late_sums and self.strategy.late == "carry"):
            raise no_replies(number, len(self.orders.cohort(number)), self.strategy.timeout)
        self.orders.forget(number)

    def _patience(self, number: int) -> float | None:
        if self.strategy.timeout is None:
            return None
        return max(0.0, max(self._pushed.pop(number, 0.0), self._collected_at) + self.strategy.timeout - self.exchange.now)

    def _sums(self, answers: list[Errand]) -> int:
        """How many sums came; what failed is remembered."""
        found = 0
        for errand in answers:
            if errand.carries_arrays and not errand.expired:
                found += 1
            elif errand.expired or errand.instruction.piece != "before":
                self.orders.failed(errand.number)
        return found

    def _instruction(self, order: Order) -> Instruction:
        size, payload = self._size(order.piece, order.carries)
        return Instruction(order.round, order.piece, order.steps, order.carries == "model", size, payload)

    def _counted(self, piece: str, carries: str) -> Size:
        config: dict[str, int | float | bool | str] = {ROUND: 1, PIECE: piece, LOCAL_STEPS: 1, LEARNING_RATE: self.terms.learning_rate}
        config |= {SUMS_UPDATES: True} if self.terms.sums_updates else {}
        config |= {AWAITS_AVERAGE: True} if piece == "whole" else {}
        config |= {STARTS: True} if carries == "model" else {}
        config |= {APPLIED: 1} if carries != "nothing" else {}
        return self.terms.forms.instruction(config, arrays=carries != "nothing")
