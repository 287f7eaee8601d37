"""FedTiny simulates federated on-device learning: learning is real, time is virtual.

    scenario = fedtiny.load_scenario("scenario.yaml", {"network.latency": "100 ms"})
    result = fedtiny.run(scenario)
    fedtiny.write_run(result, "runs/mine")
    fedtiny.write_report(["runs/mine"], "runs/mine")

Names are imported when they are first used, so that `import fedtiny` is immediate and reading a run's folder needs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fedtiny.apps.run import run_app
    from fedtiny.experiment import run
    from fedtiny.flower_app import ModelVersion, client_app_of, model_of, serve
    from fedtiny.preparation import prepare
    from fedtiny.reports.page import write_report
    from fedtiny.results.folder import read_run, write_run
    from fedtiny.results.record import RunResult
    from fedtiny.scenario.any_scenario import load_scenario
    from fedtiny.scenario.app_schema import AppScenario
    from fedtiny.scenario.schema import Scenario

__all__ = [
    "AppScenario",
    "ModelVersion",
    "RunResult",
    "Scenario",
    "client_app_of",
    "load_scenario",
    "model_of",
    "prepare",
    "read_run",
    "run",
    "run_app",
    "serve",
    "write_report",
    "write_run",
]

_HOMES: Final = {
    "AppScenario": "fedtiny.scenario.app_schema",
    "ModelVersion": "fedtiny.flower_app",
    "RunResult": "fedtiny.results.record",
    "Scenario": "fedtiny.scenario.schema",
    "client_app_of": "fedtiny.flower_app",
    "load_scenario": "fedtiny.scenario.any_scenario",
    "model_of": "fedtiny.flower_app",
    "prepare": "fedtiny.preparation",
    "read_run": "fedtiny.results.folder",
    "run": "fedtiny.experiment",
    "run_app": "fedtiny.apps.run",
    "serve": "fedtiny.flower_app",
    "write_report": "fedtiny.reports.page",
    "write_run": "fedtiny.results.folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"fedtiny has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
