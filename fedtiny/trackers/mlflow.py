"""Runs in an MLflow tracking store: one experiment for a scenario or sweep, one MLflow run for each run.

A step is a round, and a metric's timestamp is virtual time, milliseconds after the beginning of 1970. Nothing is sent anywhere but to the
store: MLflow's own telemetry is switched off unless somebody has switched it on.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fedtiny.errors import InputError
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario
from fedtiny.trackers.destination import Destination, Logged
from fedtiny.trackers.measures import Measured, settings
from fedtiny.trackers.tracker import Ending

_SQLITE: Final = "sqlite:///"
_ENDINGS: Final[Mapping[Ending, str]] = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
# what MLflow's own stores take at a time
_MOST_METRICS: Final = 1000
_MOST_PARAMETERS: Final = 100
_LONGEST_PARAMETER: Final = 6000


class MlflowRun:
    """One run of a tracking store."""

    def __init__(self, destination: Destination, logged: Logged, scenario: Scenario) -> None:
        self._client = _client(destination.place)
        from mlflow.entities import Param

        experiment = experiment_id(self._client, destination.place, logged.experiment)
        self._run = self._client.create_run(experiment, run_name=logged.run).info.run_id
        parameters = [Param(_key(name), str(value)[:_LONGEST_PARAMETER]) for name, value in settings(scenario).items()]
        for first in range(0, len(parameters), _MOST_PARAMETERS):
            self._client.log_batch(self._run, params=parameters[first : first + _MOST_PARAMETERS])
        self._client.log_text(self._run, resolved_yaml(scenario), "scenario.yaml")
        self._last = 0

    def write(self, measured: Sequence[Measured]) -> None:
        """See `Tracker`."""
        self._last = max([self._last, *(one.round for one in measured)])
        self._log([(name, value, one.virtual_time, one.round) for one in measured for name, value in one.values.items()])

    def close(self, ending: Ending, summary: Mapping[str, Any], virtual_time: float) -> None:
        """See `Tracker`; the summary's numbers are metrics, its words tags."""
        numbers = {name: float(value) for name, value in summary.items() if isinstance(value, (int, float))}
        self._log([(f"final/{name}", value, virtual_time, self._last) for name, value in numbers.items()])
        for name, value in summary.items():
            if isinstance(value, str):
                self._client.set_tag(self._run, f"final/{name}", value)
        self._client.set_terminated(self._run, _ENDINGS[ending])

    def _log(self, rows: Sequence[tuple[str, float, float, int]]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(_key(name), value, round(1000 * when), step) for name, value, when, step in rows]
        for first in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self._run, metrics=metrics[first : first + _MOST_METRICS])


def _client(address: str) -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    for chatty in ("mlflow", "alembic"):  # about the tables of a new database
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if address.startswith(_SQLITE):
        Path(address.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    try:
        return MlflowClient(tracking_uri=address)
    except MlflowException as error:
        raise InputError(f"--log mlflow: {address} is no tracking store that MLflow can use: {error}") from error


def experiment_id(client: Any, address: str, name: str) -> str:
    """The experiment of this name, made if it is not there; of a local database its files lie beside it."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_experiment_by_name(name)
        if found is None:
            files = Path(address.removeprefix(_SQLITE)).parent / "files" if address.startswith(_SQLITE) else None
            return str(client.create_experiment(name, artifact_location=None if files is None else files.as_uri()))
    except MlflowException as error:
        raise InputError(f"--log mlflow: no experiment {name!r} at {address}: {error}") from error
    return str(found.experiment_id)


def prepare_experiment(destination: Destination, name: str) -> None:
    """Makes a sweep's experiment, and its database if need be, before several processes want to. Raises InputError."""
    experiment_id(_client(destination.place), destination.place, name)


def _key(name: str) -> str:
    return re.sub(r"[^\w./ -]", "_", name)
