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
    from fedtiny.experiment import run
    from fedtiny.reports.page import write_report
    from fedtiny.results.folder import read_run, write_run
    from fedtiny.results.record import RunResult
    from fedtiny.scenario.files import load_scenario
    from fedtiny.scenario.schema import Scenario

__all__ = ["RunResult", "Scenario", "load_scenario", "read_run", "run", "write_report", "write_run"]

_HOMES: Final = {
    "RunResult": "fedtiny.results.record",
    "Scenario": "fedtiny.scenario.schema",
    "load_scenario": "fedtiny.scenario.files",
    "read_run": "fedtiny.results.folder",
    "run": "fedtiny.experiment",
    "write_report": "fedtiny.reports.page",
    "write_run": "fedtiny.results.folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"fedtiny has no {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
