"""Where the time of a run went, and what it bought: computed after the run, from its trace.

The chain that led to the last version (simulation/critical_path.py), what kept each round (round_bottleneck.py), how stale the
contributions were and what was done for nothing (simulation/used_work.py), and how much of the stalls stragglers cause
(simulation/stall_causes.py).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from fedtiny.blueprint import Blueprint
from fedtiny.recording import anybody_leaves, away_of
from fedtiny.results.record import CRITICAL_PATH
from fedtiny.round_bottleneck import round_causes
from fedtiny.simulation.absences import AwayUntil
from fedtiny.simulation.critical_path import CAUSES, SERVER, Path, critical_path
from fedtiny.simulation.stall_causes import Stalls, stall_seconds
from fedtiny.simulation.trace import Trace
from fedtiny.simulation.used_work import Contributions, Floats, Waste, contributions, waste
from fedtiny.strategies.dga import DGA


@dataclass(frozen=True)
class Attribution:
    """Where the time went."""

    critical_path: pa.Table
    """See record.CRITICAL_PATH."""
    rounds: list[tuple[int | None, str | None]]
    """By version from 0: the device and the cause that it was waited for; (None, None) for the initial one."""
    document: dict[str, Any]
    """See record.RunResult.attribution."""
    summary: dict[str, Any]
    """The same in a few numbers; see record.RunResult.summary."""


def attribution(plans: Blueprint, trace: Trace, times: Sequence[float], stalled: Callable[[], Stalls]) -> Attribution:
    """Where the time of a run went whose versions were made at these times (s), from 0; `stalled` gives when processors stalled."""
    strategy, made, versions = plans.scenario.strategy, np.asarray(times, dtype=np.float64), len(times) - 1
    away = away_of(plans, trace)
    path = critical_path(trace, made, away)
    causes = round_causes(trace, times, plans.fleet.__getitem__, away)
    used = contributions(trace, made, carries_late=isinstance(strategy, DGA) and strategy.late == "carry")
    wasted = waste(trace, used, versions)
    stalls = _seconds(trace, used, made, stalled(), strategy.timeout, _awaited(causes, made, away))
    staleness, replies = np.unique(used.staleness, return_counts=True)
    document: dict[str, Any] = {
        "critical_path": dict(path.seconds()),
        "staleness": {str(value): count for value, count in zip(staleness.tolist(), replies.tolist(), strict=True)},
        "stalls": stalls,
        "compute": {"all": wasted.all_compute, "wasted": dict(wasted.compute)},
        "bytes": {"all": wasted.all_bytes, "wasted": dict(wasted.bytes)},
    }
    if not anybody_leaves(plans, trace):
        del stalls["offline"]
    mean = float(used.staleness.mean()) if len(used.staleness) else None
    summary = {**_shares(path, wasted), "mean_staleness": mean, **{f"{cause}_stall": total for cause, total in stalls.items()}}
    rounds = [(None, None), *(_largest(found) for found in causes)]
    return Attribution(_table(path), rounds, document, summary)


def _seconds(
    trace: Trace, used: Contributions, times: Floats, waits: Stalls, timeout: float | None, away: tuple[Floats, Floats]
) -> dict[str, float]:
    """Seconds of stalls of all devices by cause."""
    split = stall_seconds(trace, used, times, np.unique(waits.device).astype(np.int64), waits, timeout, away)
    return {cause: float(getattr(split, cause).sum()) for cause in ("stragglers", "missing", "communication", "offline")}


def _awaited(causes: Sequence[tuple[int | None, Any]], times: Floats, away: AwayUntil) -> tuple[Floats, Floats]:
    """From when until when (s) the device that each round waited for was not there, within the round."""
    critical = np.array([-1 if device is None else device for device, _ in causes], dtype=np.int64)
    absences = away(np.unique(critical[critical >= 0]), float(times[-1]))
    spans = []
    for device, start, end in zip(critical.tolist(), times[:-1].tolist(), times[1:].tolist(), strict=True):
        own = absences.of(np.array([device])).within(start, end).spans()
        spans += [(max(start, begin), min(end, finish)) for begin, finish in own]
    found = np.array(spans, dtype=np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _largest(found: tuple[int | None, dict[Any, float]]) -> tuple[int | None, str | None]:
    device, seconds = found
    return device, max(seconds, key=lambda cause: seconds[cause])


def _shares(path: Path, wasted: Waste) -> dict[str, Any]:
    seconds = path.seconds()
    return {
        "bottleneck": max(seconds, key=lambda cause: seconds[cause]) if seconds else None,
        "wasted_compute": sum(wasted.compute.values()) / wasted.all_compute if wasted.all_compute else None,
        "wasted_bytes": sum(wasted.bytes.values()) / wasted.all_bytes if wasted.all_bytes else None,
    }


def _table(path: Path) -> pa.Table:
    of_server = path.device == SERVER
    return pa.table(
        {
            "device": pa.array(path.device, mask=of_server),
            "round": pa.array(path.round, mask=of_server),
            "cause": pa.DictionaryArray.from_arrays(path.cause, pa.array(CAUSES)).cast(pa.string()),
            "start": path.start,
            "end": path.end,
        },
        schema=CRITICAL_PATH,
    )
