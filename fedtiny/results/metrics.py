"""Metrics: pure functions of the recorded tables, so that a new metric needs no new run.

Time, rounds, bytes and energy *to a target* are those of the first evaluated version of the global model whose
accuracy is at least the target, and None if there is none.

A device's **stall share** is stall / (train + evaluate + paging + start_up + stall): of the time in which it takes part in rounds, the part
in which its processor waits for a message. Idle and offline time is in neither.

A **device class** is one entry of the scenario's fleet.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedtiny.results.activities import ROWS_AT_ONCE, Activities

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

WORK_KINDS: Final = ("train", "evaluate", "paging", "start_up")
PROCESSOR_KINDS: Final = (*WORK_KINDS, "stall", "idle", "offline")
TARGET_SHARE: Final = 0.95
_BLOCK: Final = 2**14


def accuracies(rounds: pa.Table) -> FloatArray:
    """Accuracy of every version, (rounds,); NaN where it was not evaluated."""
    return floats(rounds, "accuracy")


def floats(table: pa.Table | pa.RecordBatch, column: str) -> FloatArray:
    """A numeric column as floats, (rows,); NaN where it is null."""
    return np.asarray(table[column].cast(pa.float64()).fill_null(float("nan")).to_numpy(), dtype=np.float64)


def final_accuracy(rounds: pa.Table) -> float | None:
    """Accuracy of the last evaluated version."""
    return _last(accuracies(rounds))


def best_accuracy(rounds: pa.Table) -> float | None:
    """The highest accuracy of any evaluated version."""
    known = accuracies(rounds)
    return None if np.isnan(known).all() else float(np.nanmax(known))


def final_loss(rounds: pa.Table) -> float | None:
    """Loss of the last version, which is always evaluated; None where it is not a finite number: the model has diverged."""
    loss = float(floats(rounds, "loss")[-1])
    return loss if np.isfinite(loss) else None


def _last(values: FloatArray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known[-1]) if known.size else None


def row_reaching(rounds: pa.Table, target: float) -> int | None:
    """The first row whose accuracy is at least the target."""
    reached = np.flatnonzero(accuracies(rounds) >= target)
    return int(reached[0]) if reached.size else None


def rounds_to_target(rounds: pa.Table, target: float) -> int | None:
    """The round in which the target is reached."""
    row = row_reaching(rounds, target)
    return None if row is None else int(rounds["round"][row].as_py())


def time_to_target(rounds: pa.Table, target: float) -> float | None:
    """Virtual seconds until the target is reached."""
    row = row_reaching(rounds, target)
    return None if row is None else float(rounds["virtual_time"][row].as_py())


def bytes_to_target(rounds: pa.Table, target: float) -> int | None:
    """Bytes moved until the target is reached, up and down together."""
    row = row_reaching(rounds, target)
    return None if row is None else int(rounds["bytes_up"][row].as_py() + rounds["bytes_down"][row].as_py())


def energy_to_target(rounds: pa.Table, target: float) -> float | None:
    """Joules of the fleet until the target is reached; None also where the energy is unknown."""
    row = row_reaching(rounds, target)
    joules = None if row is None else rounds["energy"][row].as_py()
    return None if joules is None else float(joules)


def area_under_curve(rounds: pa.Table, until: float | None = None) -> float | None:
    """Accuracy x virtual seconds from 0 to `until` (left out: to the last version) under the curve of the model that the server holds.

    A version is held until the next evaluated one, the last for ever; None without any accuracy. Over `until`, it is the mean accuracy.
    """
    known = ~np.isnan(accuracies(rounds))
    if not known.any():
        return None
    times, heights = floats(rounds, "virtual_time"), accuracies(rounds)[known]
    end = float(times[-1]) if until is None else until
    edges = np.minimum(np.append(times[known], max(end, float(times[-1]))), end)
    return float(heights @ np.diff(edges))


def peak_memory(devices: pa.Table) -> int | None:
    """The most bytes that training takes on any device that took part; None if that is known of none."""
    peaks = floats(devices, "peak_memory")[floats(devices, "rounds") > 0]
    known = peaks[np.isfinite(peaks)]
    return int(known.max()) if known.size else None


COSTS_TO_TARGET: Final[Mapping[str, Callable[[pa.Table, float], float | None]]] = MappingProxyType(
    {
        "rounds_to_target": rounds_to_target,
        "time_to_target": time_to_target,
        "bytes_to_target": bytes_to_target,
        "energy_to_target": energy_to_target,
    }
)
"""What it takes to reach a target, by its column: each a function of the rounds and the target."""


def mean_round_time(rounds: pa.Table) -> float | None:
    """Virtual seconds from one version of the global model to the next, on average; None if there is only the first."""
    times = floats(rounds, "virtual_time")
    return float((times[-1] - times[0]) / (times.size - 1)) if times.size > 1 else None


def changes_delay(rounds: pa.Table) -> bool:
    """Whether the delay of the rounds was chosen, and not the same for all of them."""
    return len(set(rounds["delay"].drop_null().to_pylist())) > 1


def cumulative_energy(activities: Activities, times: Sequence[float] | FloatArray) -> FloatArray:
    """Joules spent by each of the times, (times,); an activity in progress counts pro rata.

    NaN throughout if the energy of any activity is unknown: a sum that leaves a device out would be taken for the whole.
    """
    moments = np.asarray(times, dtype=np.float64)
    spent = _spans_and_joules(activities)
    if spent is None:
        return np.full(moments.shape, np.nan)
    starts, ends, joules = spent
    order = np.argsort(ends, kind="stable")
    totals = np.concatenate([np.zeros(1), np.cumsum(joules[order])])
    finished = totals[np.searchsorted(ends[order], moments, side="right")]
    return np.asarray(finished + _in_progress(starts, ends, joules, moments), dtype=np.float64)


def _spans_and_joules(activities: Activities) -> FloatArray | None:
    """Start (s), end (s) and energy (J) of all activities, (3, activities); None where the energy of one is unknown."""
    result, first = np.empty((3, activities.num_rows)), 0
    for batch in activities.to_batches(ROWS_AT_ONCE):
        joules = floats(batch, "energy")
        if np.isnan(joules).any():
            return None
        result[:, first : first + batch.num_rows] = floats(batch, "start"), floats(batch, "end"), joules
        first += batch.num_rows
    return result


def _in_progress(starts: FloatArray, ends: FloatArray, joules: FloatArray, moments: FloatArray) -> FloatArray:
    """Joules of activities that have started and not ended at each moment: a term for each pair, in the order of activities."""
    by_time = np.argsort(moments, kind="stable")
    result = np.zeros(moments.size)
    # a device that idles through all rounds is in progress at every version, so all pairs at once would take too much memory
    for block in range(0, starts.size, _BLOCK):
        own = slice(block, block + _BLOCK)
        first = np.searchsorted(moments[by_time], starts[own], side="right")
        counts = np.maximum(np.searchsorted(moments[by_time], ends[own], side="left") - first, 0)
        activity = block + np.repeat(np.arange(counts.size), counts)
        within = np.arange(activity.size) - np.repeat(np.cumsum(counts) - counts, counts)
        moment = by_time[np.repeat(first, counts) + within]
        shares = (moments[moment] - starts[activity]) / (ends[activity] - starts[activity])
        np.add.at(result, moment, joules[activity] * shares)
    return result


@dataclass(frozen=True)
class DeviceClass:
    """The devices of one fleet entry: its position in the fleet, what it is called, its rows in the devices table."""

    group: int
    label: str
    rows: IntArray


def device_classes(devices: pa.Table) -> tuple[DeviceClass, ...]:
    """The classes of a devices table, in the order of the fleet; labels are "profile · network", numbered where equal."""
    groups = np.asarray(devices["group"].to_numpy(), dtype=np.int64)
    rows = {int(group): np.flatnonzero(groups == group) for group in np.unique(groups)}
    names = {group: f"{devices['profile'][int(of[0])]} · {devices['network'][int(of[0])]}" for group, of in rows.items()}
    shared = {name for name in names.values() if list(names.values()).count(name) > 1}
    return tuple(
        DeviceClass(group, f"{names[group]} #{group}" if names[group] in shared else names[group], of) for group, of in rows.items()
    )


def processor_seconds(activities: pa.Table, devices: pa.Table) -> dict[str, FloatArray]:
    """Seconds of each kind of processor activity, (devices,) each, in the order of the devices table."""
    # a run imports this file before its first step, and these functions take a tenth of a second to make
    import pyarrow.compute as pc

    numbers = np.asarray(devices["device"].to_numpy(), dtype=np.int64)
    return {kind: _seconds(activities.filter(pc.equal(activities["kind"], kind)), numbers) for kind in PROCESSOR_KINDS}


def _seconds(chosen: pa.Table, numbers: IntArray) -> FloatArray:
    order = np.argsort(numbers, kind="stable")
    positions = np.searchsorted(numbers[order], np.asarray(chosen["device"].to_numpy(), dtype=np.int64))
    spans = floats(chosen, "end") - floats(chosen, "start")
    seconds = np.zeros(numbers.size)
    seconds[order] = np.bincount(positions, weights=spans, minlength=numbers.size)
    return seconds


def stall_shares(activities: pa.Table, devices: pa.Table) -> FloatArray:
    """The stall share of every device, (devices,); NaN for one that never took part."""
    seconds = processor_seconds(activities, devices)
    return _share(seconds["stall"], _work(seconds) + seconds["stall"])


def stall_shares_by_class(activities: pa.Table, devices: pa.Table) -> dict[int, float | None]:
    """The stall share of each device class by its group, over the time of all its devices; None if none took part."""
    seconds = processor_seconds(activities, devices)
    shares: dict[int, float | None] = {}
    for entry in device_classes(devices):
        stall, work = seconds["stall"][entry.rows].sum(), _work(seconds)[entry.rows].sum()
        shares[entry.group] = float(stall / (stall + work)) if stall + work > 0 else None
    return shares


def _work(seconds: Mapping[str, FloatArray]) -> FloatArray:
    return np.asarray(sum(seconds[kind] for kind in WORK_KINDS), dtype=np.float64)


def _share(part: FloatArray, whole: FloatArray) -> FloatArray:
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0), dtype=np.float64)


@dataclass(frozen=True)
class Target:
    """The accuracy that runs are compared at, and where it comes from, in words."""

    accuracy: float
    rule: str


def common_target(stated: Sequence[float | None], rounds: Sequence[pa.Table]) -> Target | None:
    """The target of runs side by side: the one all scenarios state, else 95 % of the best accuracy of any run; None without accuracies."""
    given = set(stated)
    if len(given) == 1 and None not in given:
        return Target(float(next(value for value in given if value is not None)), "stated by the scenario")
    best = [accuracy for accuracy in map(best_accuracy, rounds) if accuracy is not None]
    if not best:
        return None
    whose = "this run's best accuracy" if len(rounds) == 1 else "the best accuracy of any of these runs"
    return Target(TARGET_SHARE * max(best), f"{TARGET_SHARE:.0%} of {whose}".replace("%", " %"))


def run_summary(rounds: pa.Table, devices: pa.Table, target: float | None) -> dict[str, Any]:
    """The run in numbers, as run.json and cells.parquet state them; None where unknown or never reached.

    Bytes, energy and virtual time are those of the last version; participants counts the devices that took part at all.
    """
    last = rounds.num_rows - 1
    return {
        "rounds": int(rounds["round"][last].as_py()),
        "virtual_time": float(rounds["virtual_time"][last].as_py()),
        "accuracy": final_accuracy(rounds),
        "loss": final_loss(rounds),
        "target_accuracy": target,
        **{name: None if target is None else cost(rounds, target) for name, cost in COSTS_TO_TARGET.items()},
        "area_under_curve": area_under_curve(rounds),
        "bytes_up": int(rounds["bytes_up"][last].as_py()),
        "bytes_down": int(rounds["bytes_down"][last].as_py()),
        "energy": rounds["energy"][last].as_py(),
        "peak_memory": peak_memory(devices),
        "participants": int(np.count_nonzero(floats(devices, "rounds") > 0)),
        "failures": int(floats(rounds, "failures").sum()),
    }
