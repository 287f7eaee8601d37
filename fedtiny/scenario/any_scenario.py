"""A scenario from a YAML file, whatever it is for: FedTiny's own training, or somebody's Flower app."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fedtiny.scenario.app_files import is_for_an_app, to_app_scenario
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.scenario.files import load_scenario as load_own
from fedtiny.scenario.files import override, python_overrides, read_tree
from fedtiny.scenario.schema import Scenario


def load_scenario(
    path: str | Path, overrides: Mapping[str, Any] | None = None, *, model: Callable[..., Any] | None = None
) -> Scenario | AppScenario | Any:
    """The scenario of a YAML file, for `run` or, where it names a fleet and nothing that trains on it, for `run_app`.

    `overrides` maps dotted keys to values, as `--set` does: ``{"network.latency": "100 ms", "strategy": "fedavg"}``. A
    text is read as YAML; any other value is taken as it is. `model` is a class or function that makes a torch module of your
    own, instead of the file's model. Raises ScenarioError, with one line for every problem.
    """
    if model is None:
        tree = override(read_tree(path), python_overrides(overrides or {}))
        if is_for_an_app(tree.plain):
            return to_app_scenario(tree, Path(path).parent)
    return load_own(path, overrides, model=model)
