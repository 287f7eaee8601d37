"""How far trainers may be ahead of their messages, and what is left for messages to hide."""

from pathlib import Path
from typing import Any, cast

from fedtiny.deployment.federation import training_scenario
from fedtiny.errors import ScenarioError
from fedtiny.scenario.schema import Scenario
from fedtiny.strategies.dga import DGA


def overlapping_scenario(file: Path, overrides: dict[str, Any]) -> Scenario:
    """A scenario whose strategy may run ahead of its messages. Raises ScenarioError for another."""
    scenario = training_scenario(file, overrides)
    strategy_of(scenario)
    return scenario


def strategy_of(scenario: Scenario) -> DGA:
    """The scenario's DGA. Raises ScenarioError where trainers cannot be ahead of messages."""
    strategy = scenario.strategy
    if not isinstance(strategy, DGA) or strategy.send != "early" or not isinstance(strategy.delay, int):
        raise ScenarioError(
            "overlapping is for strategy: {kind: dga, send: early} with a stated delay, a multiple of training.local_steps", ("strategy",)
        )
    return strategy


def with_messages_for(scenario: Scenario, run_ahead: int) -> Scenario:
    """The scenario as its server runs it: so many rounds less in flight, which the trainers run ahead instead.

    Raises ScenarioError where that cannot be, or devices would not know whether a round that has not been asked for asks them.
    """
    strategy, steps = strategy_of(scenario), scenario.training.local_steps
    late = cast(int, strategy.delay) // steps
    if not 0 <= run_ahead <= late:
        raise ScenarioError(
            f"run-ahead={run_ahead}: strategy.delay is {late} rounds, and a trainer may be ahead by 0 to {late} of them",
            ("strategy", "delay"),
        )
    if run_ahead and strategy.fraction_train < 1:
        raise ScenarioError(
            "a trainer that runs ahead must be asked in every round: use run-ahead=0 or strategy.fraction_train: 1",
            ("strategy", "fraction_train"),
        )
    return scenario.model_copy(update={"strategy": strategy.model_copy(update={"delay": (late - run_ahead) * steps})})
