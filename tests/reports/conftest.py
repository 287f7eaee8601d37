"""Plausible runs for the report's tests: a synchronous one and a pipelined one on the same fleet of three classes.

Times follow the recursion of a round: download, K steps, upload, wait. The pipelined run needs the average of the round
before the last, so several messages are under way at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fedtiny.results.metrics import cumulative_energy, processor_seconds, run_summary
from fedtiny.results.record import ACTIVITIES, DEVICES, ROUNDS, MemoryNeed, RunResult
from fedtiny.results.search import Search, best_of, values_of
from fedtiny.results.sweep import SweepResult, cells_schema

CLASSES = [
    {
        "profile": "raspberry_pi_4",
        "network": "lte_driving",
        "count": 5,
        "step": 0.11,
        "latency": 0.25,
        "rate": 0.6e6,
        "budget": 1_000_000_000,
    },
    {"profile": "jetson_nano", "network": "wifi_home", "count": 3, "step": 0.04, "latency": 0.02, "rate": 4e6, "budget": 2_000_000_000},
    {"profile": "stm32f746", "network": "lte_m", "count": 2, "step": 1.9, "latency": 0.3, "rate": 0.1e6, "budget": 256_000},
]
IDLE_WATTS, ACTIVE_WATTS = 1.9, 4.2
STEPS, MESSAGE = 20, 96_000
ITEMS = {"trainable_parameters": 96_000, "frozen_parameters": 210_000, "saved_activations": 640_000, "transient_activations": 520_000}
SCENARIO = """name: {name}
seed: 7
model: {{kind: mcunet_5fps, pretrained: {{steps: 300, classes: [0, 1, 2, 3, 4], share: 0.2}}}}
data: {{kind: fashion_mnist, image_size: 64, partition: {{kind: dirichlet, alpha: 0.3}}}}
training: {{batch_size: 8, local_steps: 20, optimizer: {{kind: sgd, learning_rate: 0.05}}}}
update: {{kind: tinytl, bias: true, lite_residual: true}}
strategy: {strategy}
fleet:
- {{count: 5, device: raspberry_pi_4, network: lte_driving}}
- {{count: 3, device: jetson_nano, network: wifi_home}}
- {{count: 2, device: stm32f746, network: lte_m}}
stop: {{rounds: {rounds}, target_accuracy: {target}}}
"""


def activity(device: int, number: int | None, kind: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    """One row of the activities table; processors draw idle or active power, links none."""
    watts = {"train": ACTIVE_WATTS, "stall": IDLE_WATTS, "idle": IDLE_WATTS}.get(kind, 0.0)
    row = {"device": device, "round": number, "kind": kind, "start": start, "end": end, "arrival": None, "bytes": 0, "payload_bytes": 0}
    return {**row, "macs": 0.0, "energy": watts * (end - start), "outcome": "done", **more}


def message(device: int, number: int, kind: str, start: float, member: dict[str, Any]) -> dict[str, Any]:
    end = start + MESSAGE / member["rate"]
    return activity(device, number, kind, start, end, arrival=end + member["latency"], bytes=MESSAGE, payload_bytes=MESSAGE - 800)


def members() -> list[dict[str, Any]]:
    return [{**entry, "group": group} for group, entry in enumerate(CLASSES) for _ in range(entry["count"])]


def simulate(rounds: int, lag: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Activities and the times of the versions; round t may start once the average of round t - 1 - lag is there."""
    fleet = [(number, member) for number, member in enumerate(members()) if member["budget"] >= sum(ITEMS.values())]
    free = {number: 0.0 for number, _ in fleet}
    rows: list[dict[str, Any]] = []
    versions = [0.0] * (lag + 1)
    for number in range(1, rounds + 1):
        replies = []
        for device, member in fleet:
            down = message(device, number, "download", versions[number - 1], member)
            begin = max(down["arrival"], free[device])
            finish = begin + STEPS * member["step"] * (1 + 0.1 * np.sin(number + device))
            up = message(device, number, "upload", finish, member)
            stall = [activity(device, number, "stall", free[device], begin)] if begin > free[device] else []
            rows += [down, *stall, activity(device, number, "train", begin, finish, macs=1e9), up]
            free[device] = finish
            replies.append(up["arrival"])
        versions.append(max(replies))
    return rows, versions[lag:]


def build_run(
    name: str = "fedavg", *, lag: int = 0, rounds: int = 40, energy: bool = True, target: float | None = 0.8, best: float = 0.93
) -> RunResult:
    """A whole run; `lag` 0 is FedAvg-like, 1 and more DGA-like."""
    rows, times = simulate(rounds, lag)
    fleet = members()
    end = times[-1]
    working = {row["device"] for row in rows}
    rows += [activity(number, None, "idle", 0.0, end) for number in range(len(fleet)) if number not in working and end > 0]
    activities = pa.Table.from_pylist([row if energy else {**row, "energy": None} for row in rows], schema=ACTIVITIES)
    numbers = np.arange(rounds + 1)
    accuracy = best - (best - 0.31) * np.exp(-numbers / 9.0) + 0.006 * np.sin(3.0 * numbers) * (numbers > 0)
    up, down = (
        [sum(row["bytes"] for row in rows if row["kind"] == kind and row["end"] <= time) for time in times]
        for kind in ("upload", "download")
    )
    joules = cumulative_energy(activities, times)
    nothing = [None] * (rounds + 1)
    table = {
        "round": numbers,
        "virtual_time": times,
        "accuracy": accuracy,
        "loss": 2.3 * np.exp(-numbers / 12.0) + 0.25,
        "participants": [0] + [len(working)] * rounds,
        "failures": [0] * (rounds + 1),
        "bytes_up": up,
        "bytes_down": down,
        "energy": [float(value) if energy else None for value in joules],
        "bottleneck_device": nothing,
        "bottleneck_cause": nothing,
        "delay": [None] + [20 * lag if lag else None] * rounds,
    }
    versions = pa.table(table, schema=ROUNDS)
    devices = device_table(fleet, activities, working, rounds, energy)
    return RunResult(
        name=name,
        status="done",
        scenario_yaml=SCENARIO.format(
            name=name, rounds=rounds, strategy="{kind: fedavg}" if lag == 0 else f"{{kind: dga, delay: {20 * lag}}}", target=target
        ),
        rounds=versions,
        activities=activities,
        devices=devices,
        model={"head.weight": np.arange(12, dtype=np.float32).reshape(3, 4), "head.bias": np.zeros(3, dtype=np.float32)},
        summary=run_summary(versions, devices, target),
        provenance={
            "versions": {"fedtiny": "0.1.0", "torch": "2.13.0"},
            "platform": "Linux",
            "seed": 7,
            "host_seconds": 3.2,
            "started": "now",
        },
        citations=[
            {
                "key": "zhu2021dga",
                "text": "Zhu et al.: Delayed Gradient Averaging. NeurIPS 2021.",
                "bibtex": "@inproceedings{zhu2021dga,\n  title = {Delayed Gradient Averaging},\n  year = {2021}\n}",
                "why": "the strategy",
            }
        ],
        notes=["The network was pre-trained on 20 % of the data before time 0, which takes no virtual time."],
        memory=[memory_need(group, entry) for group, entry in enumerate(CLASSES)],
    )


def memory_need(group: int, entry: dict[str, Any]) -> MemoryNeed:
    total, budget = sum(ITEMS.values()), entry["budget"]
    return {
        "profile": entry["profile"],
        "group": group,
        "scheme": "tinytl",
        "budget": budget,
        "total_bytes": total,
        "items": dict(ITEMS),
        "fits": budget >= total,
    }


def device_table(fleet: list[dict[str, Any]], activities: pa.Table, working: set[int], rounds: int, energy: bool) -> pa.Table:
    rows = []
    for number, member in enumerate(fleet):
        row = {"device": number, **{key: member[key] for key in ("group", "profile", "network")}, "memory_budget": member["budget"]}
        waits = {"stall_time": 0.0, "idle_time": 0.0, "energy": None}
        did = {"scheme": "tinytl", "examples": 600, "peak_memory": sum(ITEMS.values()), "status": "trained", "rounds": rounds}
        left_out = {"scheme": None, "examples": 0, "peak_memory": None, "status": "excluded", "rounds": 0}
        rows.append({**row, **waits, **(did if number in working else left_out)})
    table = pa.Table.from_pylist(rows, schema=DEVICES)
    spent = processor_seconds(activities, table)
    for kind in ("stall", "idle"):
        table = table.set_column(DEVICES.get_field_index(f"{kind}_time"), DEVICES.field(f"{kind}_time"), pa.array(spent[kind]))
    joules = [
        ACTIVE_WATTS * spent["train"][n] + IDLE_WATTS * (spent["stall"] + spent["idle"])[n] if energy else None for n in range(len(fleet))
    ]
    return table.set_column(DEVICES.get_field_index("energy"), DEVICES.field("energy"), pa.array(joules, pa.float64()))


def build_sweep(seeds: tuple[int, ...] = (0, 1, 2)) -> tuple[SweepResult, dict[str, RunResult]]:
    """A sweep over latency and memory: the smallest memory is infeasible, the worst corner never reaches its target."""
    axes = {"network.latency": ("20 ms", "100 ms", "500 ms", "2 s"), "device.memory": ("256 kB", "2 MB", "8 MB")}
    rows, runs = [], {}
    for i, latency in enumerate(axes["network.latency"]):
        for j, memory in enumerate(axes["device.memory"]):
            for seed in seeds:
                cell = f"cell{i}{j}-{seed}"
                row = {"cell": cell, "network.latency": latency, "device.memory": memory, "seed": seed, "status": "infeasible"}
                if j > 0:
                    run = build_run(cell, lag=i % 2, rounds=30 - 2 * i, target=0.75, best=0.84 + 0.03 * j - 0.035 * i + 0.006 * seed)
                    runs[cell] = run
                    row |= {"status": "done", **{key: run.summary[key] for key in cells_schema(()).names if key in run.summary}}
                rows.append(row)
    cells = pa.Table.from_pylist(rows, schema=cells_schema(tuple(axes)))
    scenario = SCENARIO.format(name="latency_memory", rounds=12, strategy="{kind: fedavg}", target=0.75)
    sweep = SweepResult("latency_memory", axes, seeds, 0.75, scenario, cells, {cell: f"cells/{cell}" for cell in runs})
    return sweep, runs


@pytest.fixture(scope="session")
def make_run() -> Callable[..., RunResult]:
    """The builder of runs."""
    return build_run


@pytest.fixture(scope="session")
def make_sweep() -> Callable[..., tuple[SweepResult, dict[str, RunResult]]]:
    """The builder of sweeps."""
    return build_sweep


@pytest.fixture(scope="session")
def fedavg() -> RunResult:
    """A synchronous run."""
    return build_run("fedavg")


@pytest.fixture(scope="session")
def dga() -> RunResult:
    """A pipelined run on the same fleet."""
    return build_run("dga", lag=2)


@pytest.fixture(scope="session")
def empty() -> RunResult:
    """A run of no rounds: the initial model and nothing else."""
    return replace(build_run("empty", rounds=0, target=None), memory=[])


CHOICES = {
    "network.latency": ("10 ms", "1 s"),
    "device.memory": ("2 MB", "8 MB"),
    "strategy": ("fedavg", "{kind: dga, delay: 5}"),
    "update": ("full", "tinytl"),
}
FASTER = {"full": 1.0, "tinytl": 0.5}


def time_of(strategy: str, update: str, latency: str, seed: int) -> float:
    """Seconds to the target: every seed has its own luck, which the strategies share."""
    return 10.0 * 3**seed * (8.0 if latency == "1 s" and strategy == "fedavg" else 1.0) / FASTER[update]


def choice_rows() -> Iterator[dict[str, Any]]:
    names = cells_schema(tuple(CHOICES)).names
    for latency in CHOICES["network.latency"]:
        for memory in CHOICES["device.memory"]:
            for strategy in CHOICES["strategy"]:
                for update in CHOICES["update"]:
                    for seed in (1, 2, 3):
                        values = {"network.latency": latency, "device.memory": memory, "strategy": strategy, "update": update}
                        row = dict.fromkeys(names) | values | {"cell": "-".join([*values.values(), str(seed)]), "seed": seed}
                        if memory == "2 MB" and update == "full":
                            yield row | {"status": "infeasible"}
                        else:
                            time = time_of(strategy, update, latency, seed)
                            yield row | {"status": "done", "time_to_target": time, "virtual_time": time, "accuracy": 0.7 + seed / 100}


@pytest.fixture(scope="session")
def make_choices() -> Callable[..., SweepResult]:
    """A sweep over latency, memory, strategies and updates whose times can be reckoned by hand; `change` changes its rows."""

    def sweep(change: Callable[[dict[str, Any]], dict[str, Any]] = lambda row: row) -> SweepResult:
        cells = pa.Table.from_pylist([change(row) for row in choice_rows()], schema=cells_schema(tuple(CHOICES)))
        return SweepResult("pairs", CHOICES, (1, 2, 3), 0.7, "name: pairs\n", cells, {})

    return sweep


TRIALS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("10 ms", "full", "done", {"accuracy": 0.8, "loss": 0.5, "time_to_target": 11.0, "bytes_up": 1000}),
    ("10 ms", "last", "done", {"accuracy": 0.78, "loss": 0.6, "time_to_target": 20.0}),
    ("10 ms", "bias", "done", {"accuracy": 0.5, "loss": 0.9, "time_to_target": None}),
    ("100 ms", "full", "infeasible", {}),
    ("1 s", "full", "done", {"accuracy": 0.82, "loss": 0.4, "time_to_target": 31.0}),
    ("1 s", "last", "done", {"accuracy": 0.7, "loss": 0.7, "time_to_target": 50.0, "energy": None}),
    ("1 s", "bias", "failed", {}),
    ("100 ms", "last", "done", {"accuracy": 0.9, "loss": 0.1, "time_to_target": 1.0}),
]
"""What was tried, in this order: every seed is like this, but for the times to target; of the last trial one seed is missing."""
USUAL = {"rounds": 40, "peak_memory": 2_500_000, "bytes_up": 2000, "bytes_down": 1000, "energy": 100.0, "virtual_time": 60.0}


def trial_rows(names: list[str]) -> Iterator[dict[str, Any]]:
    for number, (latency, update, status, values) in enumerate(TRIALS):
        for seed in (1, 2) if number < len(TRIALS) - 1 else (1,):
            said = {"network.latency": latency, "update": update, "seed": seed, "status": status, "trial": number, "on_front": False}
            summary = {**USUAL, **values} if status == "done" else {}
            if summary.get("time_to_target") is not None:
                summary["time_to_target"] += seed - 1.5
            if number == 2 and seed == 1:
                summary["time_to_target"] = 40.0
            yield dict.fromkeys(names) | said | summary | {"cell": f"{number}-{seed}"}


@pytest.fixture(scope="session")
def make_search() -> Callable[..., SweepResult]:
    """A search for these objectives whose best trials can be seen by eye."""

    def search(*objectives: str, combinations: int = 1000) -> SweepResult:
        how = Search(objectives, 12, 4, combinations, "tree-structured Parzen estimator", "Optuna 5.0.0", 7, ())
        axes = {"network.latency": ("10 ms", "100 ms", "1 s"), "update": ("full", "last", "bias")}
        schema = cells_schema(tuple(axes), searched=True)
        rows = list(trial_rows(schema.names))
        whole = {number: [row for row in rows if row["trial"] == number] for number in range(len(TRIALS) - 1)}
        best = best_of([values_of(own, how.wanted) for own in whole.values()], how.wanted)
        marked = [row | {"on_front": row["trial"] in whole and best[row["trial"]]} for row in rows]
        return SweepResult("searched", axes, (1, 2), 0.75, "name: searched\n", pa.Table.from_pylist(marked, schema=schema), {}, how)

    return search
