"""The folder of a run: written whole or not at all, read back with errors that say what is wrong with it.

A run is written into a new sibling folder which then takes the place of the old one, so that whoever reads the folder,
at any time, finds one whole run. What FedTiny did not write (a user's own notes) is carried over. The same run gives the
same bytes in every file, but for the host's fields in run.json.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError
from safetensors import numpy as tensors

from fedtiny.errors import FolderError
from fedtiny.results.activities import Activities
from fedtiny.results.files import (
    FORMAT,
    Content,
    columns_of,
    first_line,
    json_text,
    read_json,
    read_table,
    read_text,
    replace_folder,
    write_table,
)
from fedtiny.results.record import (
    ACTIVITIES,
    CHARGES,
    CRITICAL_PATH,
    DEVICES,
    LABELS,
    ROUNDS,
    RunResult,
    RunStatus,
    devices_schema,
)
from fedtiny.results.timeline import chrome_trace

SCENARIO_FILE: Final = "scenario.yaml"
RUN_FILE: Final = "run.json"
MODEL_FILE: Final = "model.safetensors"
TIMELINE_FILE: Final = "timeline.json"
TABLES: Final = {"rounds": ROUNDS, "activities": ACTIVITIES, "devices": DEVICES, "labels": LABELS}
ADDED: Final = {"critical_path": CRITICAL_PATH, "charges": CHARGES}
"""Tables that runs of earlier versions lack, and are then empty; nobody's charges are not written."""
_ADDED_COLUMNS: Final = {"rounds": ("delay",)}
"""Columns that runs of earlier versions lack, and are then null."""
WRITTEN: Final = {
    SCENARIO_FILE,
    RUN_FILE,
    MODEL_FILE,
    TIMELINE_FILE,
    "report.html",
    "citations.bib",
    "figures",
    *(f"{name}.parquet" for name in (*TABLES, *ADDED)),
}
RUN_KEYS: Final = ("name", "status", "summary", "provenance", "citations", "notes", "memory")
ATTRIBUTION: Final = "attribution"
POPULATION: Final = "population"

_COHORT: Final = re.compile(r"(?<=\n)  cohort:\n    execution: [a-z]+\n    clients: [0-9]+\n")
"""`training.cohort` as a resolved scenario states it."""


def write_run(result: RunResult, folder: str | Path) -> Path:
    """Write the folder of a run, in place of the run that is there, and give its path.

    Raises FolderError if the path holds something that is not a run, or cannot be written.
    """
    _refuse_other(Path(folder))
    contents: dict[str, Content] = {
        SCENARIO_FILE: result.scenario_yaml.encode(),
        **{f"{name}.parquet": partial(write_table, _rows(result, name), schema) for name, schema in _schemas(result).items()},
        MODEL_FILE: tensors.save({name: np.array(array, order="C", copy=None) for name, array in result.model.items()}),
        TIMELINE_FILE: (text.encode() for text in chrome_trace(result.rounds, result.all_activities(), result.devices)),
        RUN_FILE: json_text({"format": FORMAT, **{key: getattr(result, key) for key in (*RUN_KEYS, ATTRIBUTION, POPULATION)}}).encode(),
    }
    replace_folder(Path(folder), contents, ours=WRITTEN)
    return Path(folder)


def write_status(
    folder: str | Path,
    status: RunStatus,
    *,
    name: str,
    scenario_yaml: str,
    reason: str | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Path:
    """Write the folder of a run without results: one that is running, failed or was interrupted, and why."""
    _refuse_other(Path(folder))
    run = {"format": FORMAT, "name": name, "status": status, "reason": reason, "provenance": dict(provenance or {})}
    contents = {SCENARIO_FILE: scenario_yaml.encode(), RUN_FILE: json_text(run).encode()}
    replace_folder(Path(folder), contents, ours=WRITTEN)
    return Path(folder)


def read_run(folder: str | Path) -> RunResult:
    """The run of a folder, as it was written; raises FolderError if there is none, or not a whole one."""
    place = Path(folder)
    run = read_status(place)
    if run["status"] != "done":
        because = f": {run['reason']}" if run.get("reason") else ""
        raise FolderError(f"the run in {place} has no results, its status is {run['status']}{because}; run it again")
    tables = {name: read_table(place / f"{name}.parquet", schema, added=_ADDED_COLUMNS.get(name, ())) for name, schema in TABLES.items()}
    if (schema := devices_schema(columns_of(devices := place / "devices.parquet"))) != DEVICES:
        tables["devices"] = read_table(devices, schema)
    missing = [key for key in RUN_KEYS if key not in run]
    if missing:
        raise FolderError(f"{place / RUN_FILE} lacks {', '.join(missing)}; run the scenario again")
    tables |= {name: read_table(file, schema) for name, schema in ADDED.items() if (file := place / f"{name}.parquet").is_file()}
    kept = {**{key: run[key] for key in RUN_KEYS}, ATTRIBUTION: run.get(ATTRIBUTION, {}), POPULATION: run.get(POPULATION, [])}
    return RunResult(scenario_yaml=read_text(place / SCENARIO_FILE), model=_model(place / MODEL_FILE), **tables, **kept)


def read_status(folder: str | Path) -> dict[str, Any]:
    """What run.json says (its `status` above all); raises FolderError if the folder is not that of a run, or of another version's."""
    place = Path(folder)
    if not place.is_dir():
        raise FolderError(f"{place} is not a folder; a run's folder is written by `fedtiny run`")
    if not (place / RUN_FILE).is_file():
        remedy = "it is a sweep's; name it alone" if (place / "sweep.json").is_file() else "name a folder that `fedtiny run` wrote"
        raise FolderError(f"{place} is not the folder of a run, it has no {RUN_FILE}: {remedy}")
    return read_json(place / RUN_FILE, required=("name", "status", "provenance"))


def check_replaceable(folder: str | Path, scenario_yaml: str, *, overwrite: bool = False) -> None:
    """Raise FolderError unless a run of this resolved scenario may be written there.

    It may if nothing is there, or a finished, failed or interrupted run of the same scenario; with `overwrite`, any run. A
    scenario that leaves `training.cohort` to the fixed rule is the one that a run of it states.
    """
    place = Path(folder)
    _refuse_other(place)
    if overwrite or not (place / RUN_FILE).is_file():
        return
    if read_status(place)["status"] == "running":
        raise FolderError(f"a run is being written to {place}, or was killed: wait for it, choose another --out, or use --overwrite")
    if not is_same_scenario(read_text(place / SCENARIO_FILE), scenario_yaml):
        raise FolderError(f"{place} holds a run of another scenario: choose another --out, or use --overwrite")


def is_same_scenario(written: str, asked: str) -> bool:
    """Whether the scenario that a run wrote is the resolved one that is asked for, which may leave training.cohort to the rule."""
    return asked in (written, _COHORT.sub("", written))


def _model(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        return dict(tensors.load_file(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise FolderError(f"{path} cannot be read ({first_line(error)}); run the scenario again") from error


def _rows(result: RunResult, name: str) -> Activities:
    table: Activities = getattr(result, name) if name != "activities" else result.all_activities()
    return table


def _schemas(result: RunResult) -> dict[str, pa.Schema]:
    """The tables of a run and their columns, some of which only some runs have."""
    schemas = {**TABLES, **ADDED, "devices": devices_schema(result.devices.column_names)}
    if not result.charges.num_rows:
        del schemas["charges"]
    return schemas


def _refuse_other(place: Path) -> None:
    if place.exists() and not place.is_dir():
        raise FolderError(f"{place} is a file: choose another --out")
    if place.is_dir() and not (place / RUN_FILE).is_file() and any(place.iterdir()):
        raise FolderError(f"{place} holds something that is not a run, which FedTiny does not replace: choose another --out")
