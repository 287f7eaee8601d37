"""The scenario of a Flower app, from YAML: what `fedtiny app` and `run_app` read."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from fedtiny.errors import ScenarioError
from fedtiny.parts import described_schema
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.scenario.files import Override, explained, override, python_overrides, read_tree, scenario_error, with_files
from fedtiny.scenario.problems import problems_of
from fedtiny.scenario.tree import SourceMap, Tree

OF_OWN_TRAINING: Final = ("model", "data", "training", "update", "strategy", "evaluation", "learning", "accounting", "sweep")
"""Keys of a scenario that an app has no use for: it brings its own network, data and strategy."""
_ENDS: Final = ("rounds", "target_accuracy")


def load_app_scenario(path: str | Path, overrides: Mapping[str, Any] | None = None) -> AppScenario:
    """The scenario of a YAML file for a Flower app; `overrides` as in `load_scenario`. Raises ScenarioError, a line for every problem."""
    return load_app_with_source(path, python_overrides(overrides or {}))[0]


def load_app_with_source(path: str | Path, overrides: Iterable[Override] = ()) -> tuple[AppScenario, SourceMap]:
    """The same, and where each of its keys was said."""
    tree = override(read_tree(path), overrides)
    return to_app_scenario(tree, Path(path).parent), tree.sources


def is_for_an_app(plain: Mapping[str, Any]) -> bool:
    """Whether the values of a scenario are for an app: they describe its work, or name a fleet and nothing that trains on it."""
    return "app" in plain or ("fleet" in plain and not any(key in plain for key in OF_OWN_TRAINING))


def to_app_scenario(tree: Tree, folder: Path) -> AppScenario:
    """The tree checked against the schema of scenarios for apps; raises ScenarioError with all problems."""
    with explained(tree.sources):
        _refuse_own_training(tree.plain)
        plain = with_files(tree.plain, folder)
        try:
            return AppScenario.model_validate(plain)
        except ValidationError as error:
            problems = problems_of(error, plain, app_schema())
    raise scenario_error(problems, tree.sources)


@cache
def app_schema() -> dict[str, Any]:
    """The JSON schema of a scenario for an app, with the description and default of every key."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described_schema(AppScenario)}


def _refuse_own_training(plain: Mapping[str, Any]) -> None:
    for key in OF_OWN_TRAINING:
        if key in plain:
            raise ScenarioError(
                f"a Flower app brings its own network, data, training and strategy, so its scenario has no {key}: leave it out, or use "
                "`fedtiny run` for FedTiny's own training",
                (key,),
            )
    stop = plain.get("stop")
    for key in _ENDS:
        if isinstance(stop, Mapping) and key in stop:
            raise ScenarioError(
                f"a Flower app decides itself when it has done enough, so stop takes virtual_time only: leave out {key}", ("stop", key)
            )
