"""The energy of a run without learning, from its trace alone: what the last row of rounds.parquet has, without a table of activities."""

import numpy as np
from numpy.typing import NDArray

from fedtiny.recorded_activities import energies, radio_tails
from fedtiny.recording import LISTED_WHOLE, anybody_leaves, away_of
from fedtiny.simulation.absences import NOBODY_AWAY, Absences
from fedtiny.simulation.trace import WORK, Columns
from fedtiny.timing_run import TimedRun

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def planned_energy(run: TimedRun) -> float | None:
    """Joules of the listed devices up to the last version, an activity in progress pro rata; None where one of them has unknown ones."""
    fleet, columns, until = run.fleet, run.trace.columns(), run.versions[-1].virtual_time
    if any(item.one.traits.device.power is None for item in fleet.classes):
        return None
    absences = _absences(run, columns, until)
    length = columns.end - columns.start
    at_once = (columns.start <= until).astype(np.float64)
    share = np.clip(np.divide(until - columns.start, length, out=at_once, where=length > 0), 0.0, 1.0)
    # what the version set off and was over at once is not its own
    share[run.versions[-1].begun :][columns.end[run.versions[-1].begun :] <= until] = 0.0
    recorded = energies(fleet.blueprint.fleet, columns.device, columns.kind, length, columns.amount) * share
    total = float(recorded.sum() + _of_tails(run, columns, until, absences).sum()) + _of_waiting(
        run, columns, length * share, until, absences
    )
    return None if np.isnan(total) else total


def _absences(run: TimedRun, columns: Columns, until: float) -> Absences:
    """When the listed devices were not there, up to `until` (s)."""
    plans = run.fleet.blueprint
    if not anybody_leaves(plans, run.trace):
        return NOBODY_AWAY
    everybody = run.fleet.population is None and len(plans.fleet) <= LISTED_WHOLE
    devices = np.arange(len(plans.fleet)) if everybody else np.unique(columns.device).astype(np.int64)
    return away_of(plans, run.trace)(devices, until)


def _of_tails(run: TimedRun, columns: Columns, until: float, absences: Absences) -> Floats:
    """Joules of each tail of a radio."""
    fleet = run.fleet.blueprint.fleet
    after = radio_tails(fleet, columns, np.unique(columns.device).astype(np.int64), until, absences)
    return energies(fleet, after.device, after.kind, after.end - after.start, np.zeros(len(after.device)))


def _of_waiting(run: TimedRun, columns: Columns, spent: Floats, until: float, absences: Absences) -> float:
    """Joules of all listed devices while they waited; `spent` are the seconds of each activity up to `until` (s)."""
    fleet, classes = run.fleet, run.fleet.classes
    place = fleet.places_of(columns.device.astype(np.int64))
    working = np.isin(columns.kind, WORK)
    busy = np.bincount(place[working], weights=spent[working], minlength=len(classes))
    gone = np.bincount(fleet.places_of(absences.device), weights=absences.end - absences.start, minlength=len(classes))
    listed = np.array([item.count for item in classes])
    if fleet.population is not None or int(listed.sum()) > LISTED_WHOLE:
        listed = np.bincount(place[np.unique(columns.device, return_index=True)[1]], minlength=len(classes))
    idle = np.array([0.0 if item.one.traits.device.power is None else item.one.traits.device.power.idle for item in classes])
    fits = np.array([item.one.fits for item in classes])
    return float((idle * (listed * until - busy - gone))[fits].sum())
