"""One run of an app's folder, from its pyproject.toml to the folder of a run, whatever becomes of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from fedtiny.apps.app_folder import AppFolder, loaded_app, run_config_of
from fedtiny.apps.run import run_app
from fedtiny.errors import ExperimentError, FedTinyError
from fedtiny.results.folder import check_replaceable, write_run, write_status
from fedtiny.results.record import RunResult, RunStatus
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario


def run_app_into(
    folder: Path, app: AppFolder, scenario: AppScenario, *, run_config: Sequence[str] = (), overwrite: bool = False
) -> RunResult:
    """Runs the app and writes the folder of its run, in place of an earlier run in this scenario (or, with `overwrite`, of any).

    Raises InputError, and leaves the folder as it was, where app, configuration or folder are wrong. Raises ExperimentError where the
    server app fails, after the folder was given the status failed.
    """
    text = resolved_yaml(cast(Scenario, scenario))
    check_replaceable(folder, text, overwrite=overwrite)
    config = run_config_of(app, run_config)

    def ended(status: RunStatus, reason: str | None) -> None:
        write_status(folder, status, name=scenario.name, scenario_yaml=text, reason=reason)

    with loaded_app(app) as (server, client):
        try:
            result = run_app(server, client, scenario, run_config=config)
        except KeyboardInterrupt:
            ended("interrupted", None)
            raise
        except FedTinyError as error:
            ended("failed", str(error))
            raise
        except Exception as error:
            reason = f"the server app of {app.path} raised {type(error).__name__}: {error}"
            ended("failed", reason)
            raise ExperimentError(reason) from error
    result.provenance.update(app=app.name, run_config=config)
    write_run(result, folder)
    return result
