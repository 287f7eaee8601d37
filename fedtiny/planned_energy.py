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


def planned_energies(run: TimedRun) -> Floats:
    """Joules of the listed devices of each group up to the last version, an activity in progress pro rata, (groups,); nan where they are
    not known of one of them."""
    fleet, columns, until = run.fleet, run.trace.columns(), run.versions[-1].virtual_time
    absences = _absences(run, columns, until)
    length = columns.end - columns.start
    at_once = (columns.start <= until).astype(np.float64)
    share = np.clip(np.divide(until - columns.start, length, out=at_once, where=length > 0), 0.0, 1.0)
    # what the version set off and was over at once is not its own
    share[run.versions[-1].begun :][columns.end[run.versions[-1].begun :] <= until] = 0.0
    devices = fleet.blueprint.fleet
    recorded = energies(devices, columns.device, columns.kind, length, columns.amount) * share
    after = radio_tails(devices, columns, np.unique(columns.device).astype(np.int64), until, absences)
    of_tails = energies(devices, after.device, after.kind, after.end - after.start, np.zeros(len(after.device)))
    result = _of_waiting(run, columns, length * share, until, absences)
    for who, joules in ((columns.device, recorded), (after.device, of_tails)):
        result += np.bincount(devices.groups_of(who.astype(np.int64)), weights=joules, minlength=len(result))
    return result


def _absences(run: TimedRun, columns: Columns, until: float) -> Absences:
    """When the listed devices were not there, up to `until` (s)."""
    plans = run.fleet.blueprint
    if not anybody_leaves(plans, run.trace):
        return NOBODY_AWAY
    everybody = run.fleet.population is None and len(plans.fleet) <= LISTED_WHOLE
    devices = np.arange(len(plans.fleet)) if everybody else np.unique(columns.device).astype(np.int64)
    return away_of(plans, run.trace)(devices, until)


def _of_waiting(run: TimedRun, columns: Columns, spent: Floats, until: float, absences: Absences) -> Floats:
    """Joules of the listed devices of each group while they waited; `spent` are the seconds of each activity up to `until` (s)."""
    fleet, classes = run.fleet, run.fleet.classes
    place = fleet.places_of(columns.device.astype(np.int64))
    working = np.isin(columns.kind, WORK)
    busy = np.bincount(place[working], weights=spent[working], minlength=len(classes))
    gone = np.bincount(fleet.places_of(absences.device), weights=absences.end - absences.start, minlength=len(classes))
    listed = np.array([item.count for item in classes])
    if fleet.population is not None or int(listed.sum()) > LISTED_WHOLE:
        listed = np.bincount(place[np.unique(columns.device, return_index=True)[1]], minlength=len(classes))
    powers = [item.one.traits.device.power for item in classes]
    idle = np.array([np.nan if power is None else power.idle for power in powers])
    waited = np.where([item.one.fits for item in classes], listed * until - busy - gone, 0.0)
    joules = np.where(waited == 0.0, 0.0, idle * waited)
    groups = np.array([item.one.traits.group for item in classes])
    return np.bincount(groups, joules, len(fleet.blueprint.fleet.groups)).astype(np.float64)
