"""What this run's configuration says."""

from pathlib import Path
from typing import Any

import yaml
from flwr.app import UserConfig

import fedtiny


def scenario_of(run_config: UserConfig) -> fedtiny.Scenario:
    """The scenario that the app carries, with what `flwr run -c` says otherwise."""
    return load(Path(__file__).parents[1] / str(run_config["scenario"]), yaml.safe_load(str(run_config["overrides"])))


def load(file: Path, overrides: dict[str, Any]) -> fedtiny.Scenario:
    """A scenario whose strategy may run ahead of its messages. Raises ValueError for another."""
    scenario = fedtiny.load_scenario(file, overrides)
    if not isinstance(scenario, fedtiny.Scenario) or scenario.strategy.kind != "dga" or scenario.strategy.send != "early":
        raise ValueError("overlapping is for strategy: {kind: dga, send: early} with a stated delay, a multiple of training.local_steps")
    return scenario


def rounds_late(scenario: fedtiny.Scenario) -> int:
    """By how many rounds an average may be late: D / K."""
    return scenario.strategy.delay // scenario.training.local_steps


def with_messages_for(scenario: fedtiny.Scenario, run_ahead: int) -> fedtiny.Scenario:
    """The scenario as its server runs it: so many rounds less in flight, which the trainers run ahead instead.

    Raises ValueError where that cannot be, or devices would not know whether a round that has not been asked for asks them.
    """
    late = rounds_late(scenario)
    if not 0 <= run_ahead <= late:
        raise ValueError(f"run-ahead={run_ahead}: strategy.delay is {late} rounds, and a trainer may be ahead by 0 to {late} of them")
    if run_ahead and scenario.strategy.fraction_train < 1:
        raise ValueError("a trainer that runs ahead must be asked in every round: use run-ahead=0 or strategy.fraction_train: 1")
    delay = (late - run_ahead) * scenario.training.local_steps
    return scenario.model_copy(update={"strategy": scenario.strategy.model_copy(update={"delay": delay})})
