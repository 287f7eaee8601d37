"""One run, from its scenario to its folder, whatever becomes of it.

The folder says how the run ended: done, failed (and why) or interrupted. What is wrong with the input is found before
anything is written, so a wrong scenario leaves no folder behind.
"""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedtiny import experiment
from fedtiny.errors import FedTinyError, FolderError, InputError
from fedtiny.results.folder import check_replaceable, write_run, write_status
from fedtiny.results.record import RunResult, RunStatus
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario
from fedtiny.simulated_clients import TrainingOf
from fedtiny.trackers.destination import Logged
from fedtiny.trackers.live import live_log


def run_into(
    folder: Path,
    scenario: Scenario,
    *,
    overwrite: bool = False,
    progress: Callable[[Any], None] | None = None,
    allow_code: bool = False,
    training: TrainingOf | None = None,
    logged: Logged | None = None,
) -> RunResult:
    """Runs a scenario and writes its folder, in place of an earlier run of the same scenario (or, with `overwrite`, of any).
    `training` is what trains packages of clients; left out: this process. `logged` says which other programs are told of it meanwhile.

    Raises InputError, and leaves the folder as it was, where the scenario cannot run or the folder belongs to something
    else. Raises what went wrong during the run, after the folder was given the status failed or interrupted.
    """
    text = resolved_yaml(scenario)
    _check_writable(folder)
    check_replaceable(folder, text, overwrite=overwrite)

    def ended(status: RunStatus, reason: str | None) -> None:
        write_status(folder, status, name=scenario.name, scenario_yaml=text, reason=reason)

    with live_log(logged, scenario, progress) as log:
        try:
            result = experiment.run(scenario, progress=log.watch, allow_code=allow_code, training=training)
        except InputError:
            raise
        except KeyboardInterrupt:
            ended("interrupted", None)
            raise
        except Exception as error:
            ended("failed", reason_of(error))
            raise
        write_run(result, folder)
        log.complete(result)
    return result


def _check_writable(folder: Path) -> None:
    """Raises FolderError where the results of a long run could not be written in the end."""
    parents = folder.absolute().parents
    nearest = next(place for place in parents if place.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise FolderError(f"{folder} cannot be written, because of {nearest}: choose another --out")


def reason_of(error: Exception) -> str:
    """Why something failed: the message of an error that was raised on purpose, the traceback of any other."""
    return str(error) if isinstance(error, FedTinyError) else "".join(traceback.format_exception(error))
