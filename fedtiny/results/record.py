"""RunResult: everything that a run leaves, as plain tables, arrays and texts.

A run is recorded, not measured: the tables say what happened when, and every metric is computed from them afterwards
(results/metrics.py). The schemas below are the public columns of rounds.parquet, activities.parquet,
devices.parquet, labels.parquet, critical_path.parquet and charges.parquet. Base units throughout: seconds, bytes, joules,
multiply-accumulates.
A table is made from columns with ``pa.table(columns, schema=ROUNDS)`` or from rows with ``pa.Table.from_pylist(rows, schema=ROUNDS)``.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NotRequired, TypedDict

import numpy as np
import pyarrow as pa

from fedtiny.results.activities import Activities, TableWhenAsked

ActivityKind = Literal["download", "train", "upload", "evaluate", "stall", "idle", "offline", "paging", "promotion", "start_up", "tail"]
Outcome = Literal["done", "cancelled", "lost", "late", "failed", "dropped", "interrupted", "repeated", "aborted"]
DeviceStatus = Literal["trained", "excluded", "downgraded", "dead", "unused"]
RunStatus = Literal["running", "done", "failed", "interrupted"]

TRANSFERS: Final = ("download", "upload")

ROUNDS: Final = pa.schema(
    [
        pa.field("round", pa.int64(), nullable=False),
        pa.field("virtual_time", pa.float64(), nullable=False),
        pa.field("accuracy", pa.float64()),
        pa.field("loss", pa.float64()),
        pa.field("participants", pa.int64(), nullable=False),
        pa.field("failures", pa.int64(), nullable=False),
        pa.field("bytes_up", pa.int64(), nullable=False),
        pa.field("bytes_down", pa.int64(), nullable=False),
        pa.field("energy", pa.float64()),
        pa.field("bottleneck_device", pa.int64()),
        pa.field("bottleneck_cause", pa.string()),
        pa.field("delay", pa.int64()),
    ]
)
"""One row per version of the global model, row 0 the initial one. Null accuracy, loss: not evaluated; null energy: unknown.

bottleneck_device is the one whose reply the server had last, bottleneck_cause what kept it for most of the round (causes as in
CRITICAL_PATH); a null device: the strategy's timeout ended the wait. delay is DGA's D of the round in local steps, stated or chosen;
null: the strategy has none, or an earlier version wrote the run."""

ACTIVITIES: Final = pa.schema(
    [
        pa.field("device", pa.int64(), nullable=False),
        pa.field("round", pa.int64()),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
        pa.field("arrival", pa.float64()),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("payload_bytes", pa.int64(), nullable=False),
        pa.field("macs", pa.float64(), nullable=False),
        pa.field("energy", pa.float64()),
        pa.field("outcome", pa.string(), nullable=False),
    ]
)
"""One row per span of a device's resource. Null round: belongs to none; null arrival: no transfer; null energy: unknown."""

DEVICES: Final = pa.schema(
    [
        pa.field("device", pa.int64(), nullable=False),
        pa.field("group", pa.int64(), nullable=False),
        pa.field("profile", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),
        pa.field("scheme", pa.string()),
        pa.field("scheme_reason", pa.string()),
        pa.field("examples", pa.int64(), nullable=False),
        pa.field("label_examples", pa.list_(pa.int64())),
        pa.field("memory_budget", pa.int64(), nullable=False),
        pa.field("peak_memory", pa.int64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("rounds", pa.int64(), nullable=False),
        pa.field("stall_time", pa.float64(), nullable=False),
        pa.field("idle_time", pa.float64(), nullable=False),
        pa.field("energy", pa.float64()),
    ]
)
"""One row per device; `group` is its entry's position in the fleet; `label_examples` are its training examples of label 0, 1, ....

Null scheme, peak_memory: trains nothing; null label_examples: targets are no classes; null energy: unknown. `scheme_reason` says why
the device trains this scheme, or none."""

BATTERIES: Final = pa.schema(
    [
        pa.field("battery_capacity", pa.float64()),
        pa.field("charge_at_start", pa.float64()),
        pa.field("charged", pa.float64()),
        pa.field("charge_at_end", pa.float64()),
        pa.field("times_empty", pa.int64()),
        pa.field("time_empty", pa.float64()),
    ]
)
"""What devices.parquet also says where a device of the fleet has a battery: joules, and seconds in which it was off because the battery
was empty; null for devices without. charge_at_start + charged - energy = charge_at_end; below 0 where the device's last transfer was paid
for at its end and cost more than there was."""

CHARGES: Final = pa.schema(
    [
        pa.field("round", pa.int64(), nullable=False),
        pa.field("virtual_time", pa.float64(), nullable=False),
        pa.field("group", pa.int64(), nullable=False),
        pa.field("mean", pa.float64(), nullable=False),
        pa.field("least", pa.float64(), nullable=False),
        pa.field("most", pa.float64(), nullable=False),
    ]
)
"""One row per version of the global model and group with batteries: the charges then of its devices, as shares of their capacity. Written
only where there are batteries."""


EMISSIONS: Final = pa.schema([pa.field("carbon", pa.float64())])
"""What devices.parquet also says where the scenario gives a carbon intensity: grams of CO2e of the device's `energy`; null where that or
the intensity of its group is unknown."""

FLASH: Final = pa.schema([pa.field("flash_blocks_erased", pa.int64()), pa.field("flash_endurance_used", pa.float64())])
"""What devices.parquet also says where the flash of a device of the fleet is known: how many erase blocks it wrote, and the share of a
block's erase cycles that this used up (docs/background/energy.md); null for devices without."""

_OF_SOME_RUNS: Final = (BATTERIES, EMISSIONS, FLASH)


def devices_schema(present: Collection[str]) -> pa.Schema:
    """The columns of a devices.parquet that has these: DEVICES, and those of BATTERIES, EMISSIONS and FLASH that begin among them."""
    return pa.schema([*DEVICES, *(column for columns in _OF_SOME_RUNS if columns.names[0] in present for column in columns)])


LABELS: Final = pa.schema(
    [
        pa.field("round", pa.int64(), nullable=False),
        pa.field("label", pa.int64(), nullable=False),
        pa.field("examples", pa.int64(), nullable=False),
        pa.field("correct", pa.int64(), nullable=False),
    ]
)
"""One row per evaluated version and label: how many test examples have it, and how many of them the version gets right. Empty where
targets are no classes."""

CRITICAL_PATH: Final = pa.schema(
    [
        pa.field("device", pa.int64()),
        pa.field("round", pa.int64()),
        pa.field("cause", pa.string(), nullable=False),
        pa.field("start", pa.float64(), nullable=False),
        pa.field("end", pa.float64(), nullable=False),
    ]
)
"""The one chain of activities that led to the last version, in the order of time: each begins when the one before it ends, the first at
0, so they sum to the last version's time. Causes are compute, start_up, upload, download, latency, polling, stall,
timeout, offline and out_of_memory (waiting for storage on a device that pages); null
device and round: the server waited in vain."""

HOST_FIELDS: Final = ("host_seconds", "started")
"""The keys of `provenance` that differ between two runs of the same scenario on the same machine."""


class Citation(TypedDict):
    """A work that the run stands on: its BibTeX key and entry, a line of text, and what it was used for."""

    key: str
    text: str
    bibtex: str
    why: str


class MemoryNeed(TypedDict):
    """What training needs on the devices of one fleet entry, item by item, against their budget; bytes for the whole batch."""

    profile: str
    group: int
    scheme: str
    budget: int
    total_bytes: int
    items: dict[str, int]
    fits: bool
    paged_bytes: NotRequired[int]
    """Bytes that a step puts out to storage and back; none where it fits the budget."""


class PopulationClass(TypedDict):
    """How many devices of a class a population has, how many of them training fits, and how many a message reached."""

    group: int
    """The member of the population, as in the tables."""
    profile: str
    network: str
    devices: int
    taking_part: int
    reached: int


@dataclass(frozen=True, eq=False)
class RunResult:
    """One finished run.

    `rounds`, `activities`, `devices`, `labels`, `critical_path` and `charges` have the schemas of this module; `model` maps parameter names
    to arrays of the final global model. `summary` holds the run in numbers: rounds, virtual_time, accuracy, loss, target_accuracy,
    time_to_target, bytes_up, bytes_down, energy (null where unknown or never reached); `bottleneck`, the cause of most of the critical
    path; wasted_compute and wasted_bytes, shares of processor time and of bytes whose work is in no version; mean_staleness, versions made
    between the one that a contribution started from and the one it is in; stragglers_stall, missing_stall and communication_stall,
    seconds that all devices together waited because others computed, because replies never came, and for other reasons; where devices
    come and leave, offline_stall too, because the device that was waited for was not there; where the scenario gives a carbon intensity,
    `carbon`, grams of CO2e of the energy (null where unknown).
    `attribution` holds the same in full, empty where unknown:

        critical_path   seconds by cause                    staleness   contributions by staleness (a text)
        stalls          seconds: stragglers, missing, communication; offline where devices come and leave
        compute, bytes  all: seconds of processors, bytes of both directions; wasted: those by reason: lost, dropped, late, unfinished
                        and, where devices leave, interrupted

    `provenance` is the only place with host time (HOST_FIELDS). `notes` are sentences for the report.
    `population` counts the devices of a population by class, of which `devices` lists those that a message reached; empty for groups.
    """

    name: str
    status: RunStatus
    scenario_yaml: str
    rounds: pa.Table
    devices: pa.Table
    model: dict[str, np.ndarray[Any, Any]]
    summary: dict[str, Any]
    activities: TableWhenAsked = TableWhenAsked(ACTIVITIES)  # noqa: RUF009  (no default: what it is given becomes a table when it is read)
    provenance: dict[str, Any] = field(default_factory=dict)
    citations: list[Citation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    memory: list[MemoryNeed] = field(default_factory=list)
    labels: pa.Table = field(default_factory=LABELS.empty_table)
    critical_path: pa.Table = field(default_factory=CRITICAL_PATH.empty_table)
    charges: pa.Table = field(default_factory=CHARGES.empty_table)
    attribution: dict[str, Any] = field(default_factory=dict)
    population: list[PopulationClass] = field(default_factory=list)

    def all_activities(self) -> Activities:
        """The activities in order for whoever takes them batch by batch; of a long run, `activities` takes far more memory."""
        given: Activities = vars(self)["activities"]
        return given
