"""The timing half of Flower's synchronous strategies: FedAvg, its median, its trimmed mean, its momentum.

What they make of the replies takes no virtual time, so they are all timed alike: ask a cohort, wait for all replies or the
timeout, go on with those that came.
"""

from typing import cast

from fedtiny.federation.foresight import Course, Foresight
from fedtiny.federation.records import LOCAL_STEPS, ROUND
from fedtiny.simulation.exchange import Exchange, Instruction
from fedtiny.strategies.base import Strategy, no_replies
from fedtiny.strategies.round_rates import LEARNING_RATE
from fedtiny.strategies.synchronous import FlowerRounds, foreseen
from fedtiny.strategies.timing import Terms, gather


def run(strategy: Strategy, exchange: Exchange, terms: Terms) -> None:
    """Runs the rounds; raises RoundError after a round without a reply."""
    extras = cast(FlowerRounds, strategy).instruction_extras()
    config = {LOCAL_STEPS: terms.local_steps, LEARNING_RATE: terms.learning_rate, ROUND: 1, **extras}
    size, payload = terms.forms.instruction(config, arrays=True)
    terms.on_version(0)
    for number in range(1, terms.rounds + 1):
        there = gather(exchange, terms, strategy.wanted_nodes)
        cohort = strategy.cohort_size(len(there))
        instruction = Instruction(number, "train", terms.local_steps, True, size, payload)
        asked = exchange.push((node, instruction) for node in terms.sample(there, cohort))
        came = exchange.wait(asked, strategy.timeout)
        if not any(not errand.expired for errand in came):
            raise no_replies(number, cohort, strategy.timeout)
        terms.on_version(number)


def foresee(instruction: Instruction, course: Course) -> Foresight:
    """As many steps as the instruction asks a device of its pace for, and a reply with arrays, whatever came before."""
    return foreseen(instruction.steps, course)
