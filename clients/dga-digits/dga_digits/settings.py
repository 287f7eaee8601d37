"""What this run's configuration says."""

from pathlib import Path

import yaml
from flwr.app import UserConfig

import fedtiny


def scenario_of(run_config: UserConfig) -> fedtiny.Scenario:
    """The scenario that the app carries, with what `flwr run -c` says otherwise."""
    file = Path(__file__).parents[1] / str(run_config["scenario"])
    return fedtiny.load_scenario(file, yaml.safe_load(str(run_config["overrides"])))
