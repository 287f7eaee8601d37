"""Makespans of FedAvg, DGA on stock SuperNodes and DGA overlapped on real Flower nodes behind a slow network, and what FedTiny predicts.

    python benchmarks/real/makespan.py [--rounds 6] [--delays 0 0.1 0.3 1] [--calibration 0.2] [--repeats 3] [--at-once 1]

A SuperLink and two SuperNodes on loopback, each node behind a relay (tests/flower/relay.py) that delays every byte by so long each way, run
the app of clients/dga-overlap. Its trainers pace themselves by sleeping: a block of ten local steps takes ten seconds. FedAvg is DGA with
D = 0; "stock" trains when a message asks for it, "overlapped" has its trainer run ahead by two rounds. Two messages are in flight in both.

The prediction is FedTiny's own run without learning of the same scenario. Of the device it is told the step time, and the requests of which
a message consists (REQUESTS); of the network the injected delay; and what a SuperNode adds to every message, `start_up`, is taken from one
other row: FedAvg at the delay of `--calibration`, which is not in the table. When SuperNodes look for messages depends on when they were
switched on: predictions are means over that moment (SEEDS), measurements over `--repeats` runs. Writes docs/figures/real_makespan.json,
.png and .svg, and the table of docs/validation.md.
"""

import argparse
import importlib
import importlib.util
import json
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Final, cast

from matplotlib.figure import Figure

import fedtiny
from fedtiny.reports import style
from fedtiny.results.files import json_text, replace_file

ROOT = Path(__file__).parents[2]
APP = ROOT / "clients" / "dga-overlap"
RELAY = ROOT / "tests" / "flower" / "relay.py"
FIGURE = ROOT / "docs" / "figures" / "real_makespan"
STEPS, STEP_TIME, SECONDS_TO_PREPARE = 10, 1.0, 120.0
REQUESTS: Final = {"download": 6, "upload": 6, "turnaround": "0.4 s"}
"""What a message costs a SuperNode of Flower 1.41, counted in a relay: see `fedtiny.fleet.device.Requests`."""
SEEDS: Final = 20
POLL: Final = 3.0
"""Seconds that an idle SuperNode sleeps before it looks again (Flower 1.41)."""
PICTURE: Final = "![Seconds a block over the injected delay: FedAvg, DGA on stock SuperNodes, DGA overlapped](figures/real_makespan.png)"
METHODS: Final = {"FedAvg": (0, 0), "DGA, stock SuperNodes": (1, 0), "DGA, overlapped": (3, 2)}
"""By name: the delay in rounds, and how many of them a trainer runs ahead."""


@dataclass(frozen=True)
class Row:
    """Some runs of one kind: what was injected, what came on average, and what was foretold (s)."""

    method: str
    one_way: float
    rounds: int
    makespan: float
    steady: float
    """Seconds per block after the second one."""
    makespans: tuple[float, ...] = ()
    """Of every run."""
    predicted: float | None = None
    predicted_steady: float | None = None


def federation_class() -> Any:
    """The class that starts real nodes, of the tests on them."""
    spec = importlib.util.spec_from_file_location("flower_conftest", ROOT / "tests" / "flower" / "conftest.py")
    if spec is None or spec.loader is None:
        raise SystemExit("tests/flower/conftest.py is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules["flower_conftest"] = module
    spec.loader.exec_module(module)
    return module.Federation


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def overrides(method: str, rounds: int) -> str:
    """What the scenario of the app is given beside, as one line of YAML."""
    late, _ = METHODS[method]
    return f"{{strategy.delay: {late * STEPS}, training.local_steps: {STEPS}, stop.rounds: {rounds}, evaluation.every: 1000}}"


def measured(method: str, one_way: float, rounds: int) -> Row:
    """Runs it for real."""
    run_ahead = METHODS[method][1]
    with tempfile.TemporaryDirectory(prefix="fedtiny-real-") as scratch:
        folder, said = Path(scratch), overrides(method, rounds)
        federation = federation_class()(folder)
        try:
            for number in range(2):
                words = ["--scenario", str(APP / "scenario.yaml"), "--overrides", said, "--run-ahead", str(run_ahead)]
                words += ["--step-time", f"{STEP_TIME} s", "--partition-id", str(number)]
                words += ["--socket", str(folder / f"{number}.sock"), "--state", str(folder / f"state-{number}")]
                federation.start_process(f"trainer-{number}", ["python", "-m", "fedtiny.deployment.overlapping.trainer", *words])

            wait_for_trainers(folder)

            def through(number: int, port: int) -> int:
                listen = free_port()
                words = ["--listen", str(listen), "--to", str(port), "--delay", str(one_way)]
                federation.start_process(f"relay-{number}", ["python", str(RELAY), *words])
                return listen

            federation.start(2, lambda number: f'trainer-socket="{folder / f"{number}.sock"}"', through)
            times_file = folder / "times.json"
            config = f"overrides='{said}' run-ahead={run_ahead} final-model='{folder / 'model.safetensors'}' round-times='{times_file}'"
            federation.run(APP, config)
            times = json.loads(times_file.read_text(encoding="utf-8"))
        finally:
            federation.stop()
    return Row(method, one_way, rounds, times[-1], (times[-1] - times[2]) / (rounds - 2))


def mean_of(runs: Sequence[Row]) -> Row:
    """Runs of one kind as one row."""
    spans, steady = [run.makespan for run in runs], [run.steady for run in runs]
    return replace(runs[0], makespan=fmean(spans), steady=fmean(steady), makespans=tuple(spans))


def wait_for_trainers(folder: Path) -> None:
    """A run is of devices that are ready: a trainer listens when it has prepared its data and network."""
    end = time.monotonic() + SECONDS_TO_PREPARE
    while not all((folder / f"{number}.sock").exists() for number in range(2)):
        if time.monotonic() > end:
            raise SystemExit((folder / "trainer-0.log").read_text(encoding="utf-8"))
        time.sleep(0.2)


def predicted(method: str, one_way: float, rounds: int, start_up: float) -> tuple[float, float]:
    """Makespan and seconds per block by FedTiny, s.

    Stock: the runtime `serial`, which does one thing at a time and sleeps between looks. Overlapped: the runtime `overlapping`, whose
    uplink is the SuperNode beside the trainer: one message at a time, each of which takes what it takes a SuperNode without the sleep,
    since the next one lies ready.
    """
    late, run_ahead = METHODS[method]
    said: dict[str, Any] = {"strategy.delay": late * STEPS, "training.local_steps": STEPS, "stop.rounds": rounds, "evaluation.every": 1000}
    device: dict[str, Any] = {"kind": "custom", "memory": "1 GB", "step_time": f"{STEP_TIME} s"}
    network = {"kind": "custom", "latency": f"{one_way} s"}
    if run_ahead:
        fetching, sending = (2 * one_way * (trips - before) for trips, before in ((6, 1), (6, -1)))
        seconds = max(start_up, fetching) + sending
        network = {"kind": "custom", "latency": "0 s", "uplink": f"{reply_bytes(said, device) / seconds} B/s"}
    else:
        device |= {"runtime": "serial", "polling_interval": f"{POLL} s", "start_up": f"{start_up} s", "requests": REQUESTS}
    fleet = [{"count": 2, "device": device, "network": network}]
    ends = [round_ends({**said, "fleet": fleet, "seed": seed}) for seed in range(1 if run_ahead else SEEDS)]
    return fmean(one[-1] for one in ends), fmean((one[-1] - one[2]) / (rounds - 2) for one in ends)


def reply_bytes(said: dict[str, Any], device: dict[str, Any]) -> float:
    """Bytes of one reply of the app."""
    network = {"kind": "custom", "latency": "0 s"}
    rounds = timed({**said, "fleet": [{"count": 2, "device": device, "network": network}]})
    return float(rounds["bytes_up"][-1].as_py() / (2 * (rounds.num_rows - 1)))


def timed(said: dict[str, Any]) -> Any:
    """The rounds of a run without learning."""
    scenario = cast(fedtiny.Scenario, fedtiny.load_scenario(APP / "scenario.yaml", {**said, "learning": "none"}))
    return fedtiny.run(scenario).rounds


def round_ends(said: dict[str, Any]) -> list[float]:
    """When each round ends in virtual time, s."""
    return [float(value) for value in timed(said)["virtual_time"].to_pylist()]


def calibrated(row: Row) -> float:
    """What a SuperNode adds to a message (s), so that the row's makespan is foretold exactly, by bisection."""
    low, high = 0.0, 30.0
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if predicted(row.method, row.one_way, row.rounds, middle)[0] > row.makespan else (middle, high)
    return (low + high) / 2


def part(document: dict[str, Any]) -> str:
    """The section of docs/validation.md."""
    calibration, requests = document["calibration"], document["requests"]
    lines = [
        "## Real Flower nodes",
        "",
        "A SuperLink and two SuperNodes of Flower 1.41 on one machine of 2 cores, every byte between them delayed by a relay of ours,",
        f"training paced by sleeping: {STEPS} steps of {STEP_TIME:g} s are a block.",
        "`python benchmarks/real/makespan.py` measures and writes this section; the app is clients/dga-overlap. FedTiny predicts from the",
        f"step time, the injected delay, what was counted in a relay (`requests`: {requests['download']} round trips to fetch a message,",
        f"{requests['upload']} to send its reply; SuperNodes look every {POLL:g} s; the server takes {requests['turnaround']} from a reply",
        "to the next message),",
        f"and the start of a process for every message, {document['start_up']:.1f} s, which is calibrated on one other row:",
        f"{calibration['method']} at {1000 * calibration['one_way']:g} ms, {calibration['makespan']:.1f} s.",
        f"Means of {document['repeats']} runs, {document['at_once']} at the same time, with the least and most; when SuperNodes look",
        "depends on when they were switched on, and with FedAvg both wait for the one that looks later: predictions are means over it.",
        "",
        "| one way | method | measured makespan | predicted | error | measured seconds a block | predicted |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        error = f"{100 * (row['predicted'] / row['makespan'] - 1):+.1f}%"
        ends = f"{min(row['makespans']):.0f} to {max(row['makespans']):.0f}"
        spans = f"{row['makespan']:.1f} s ({ends}) | {row['predicted']:.1f} s | {error}"
        blocks = f"{row['steady']:.2f} | {row['predicted_steady']:.2f}"
        lines.append(f"| {1000 * row['one_way']:g} ms | {row['method']} | {spans} | {blocks} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{document['rounds']} rounds; seconds a block are those after the second round. Training alone takes 10 s a block.",
            "",
            "Overlapped DGA keeps training at 300 ms; with stock SuperNodes requests and the starts of processes come on top. What is",
            "furthest off is FedAvg at 1000 ms: a SuperNode whose look comes a moment before the other's reply was answered sleeps on.",
            "That happens oftener than in the model, where both start their processes equally fast.",
            "",
            PICTURE,
        ]
    )


def figure(document: dict[str, Any]) -> Figure:
    """Seconds a block over the injected delay, measured and predicted."""
    with style.paper():
        drawn = style.new_figure(style.ONE_COLUMN, 2.6)
        axes = drawn.subplots()
        for turn, method in enumerate(METHODS):
            rows = [row for row in document["rows"] if row["method"] == method]
            places = [1000 * row["one_way"] for row in rows]
            color, marker = style.CYCLE[turn], style.MARKERS[turn]
            axes.plot(places, [row["steady"] for row in rows], color=color, marker=marker, linestyle="", label=method)
            axes.plot(places, [row["predicted_steady"] for row in rows], color=color, linestyle=style.DASHES[turn], linewidth=1.0)
        axes.axhline(STEPS * STEP_TIME, color=style.SOFT, linewidth=0.8)
        axes.text(1000, STEPS * STEP_TIME - 0.3, "training alone", ha="right", va="top", fontsize=7, color=style.SOFT)
        axes.set(xlabel="injected delay, one way (ms)", ylabel="seconds a block", ylim=(0, None))
        style.grid(axes)
        drawn.legend(loc="outside upper left", title="measured (markers), predicted (lines)", alignment="left")
        return drawn


def draw(document: dict[str, Any]) -> None:
    """Writes the numbers, the figure and the section of the page."""
    replace_file(FIGURE.with_suffix(".json"), json_text(document).encode())
    drawn = figure(document)
    replace_file(FIGURE.with_suffix(".png"), style.png_bytes(drawn))
    replace_file(FIGURE.with_suffix(".svg"), style.svg_text(drawn).encode())
    page = ROOT / "docs" / "validation.md"
    marks = validation_page()
    page.write_text(marks.with_part(page.read_text(encoding="utf-8"), part(document), marks.REAL_NODES), encoding="utf-8")


def validation_page() -> Any:
    """The module that writes docs/validation.md."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "validation"))
    return importlib.import_module("page")


def main(words: Sequence[str] | None = None) -> None:
    """Measures, predicts, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.0, 0.1, 0.3, 1.0])
    parser.add_argument("--calibration", type=float, default=0.2)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind")
    parser.add_argument("--at-once", type=int, default=1, help="federations at the same time; they mostly sleep")
    chosen = parser.parse_args(words)
    wanted = [("FedAvg", chosen.calibration), *((method, delay) for delay in chosen.delays for method in METHODS)]
    with ThreadPoolExecutor(chosen.at_once) as pool:
        runs = []
        for run in pool.map(lambda one: measured(one[0], one[1], chosen.rounds), wanted * chosen.repeats):
            print(run, flush=True)
            runs.append(run)
    rows = [mean_of([run for run in runs if (run.method, run.one_way) == place]) for place in wanted]
    start_up = calibrated(rows[0])
    print(f"start_up {start_up:.2f} s, from {rows[0].method} at {rows[0].one_way} s")
    found = []
    for row in rows[1:]:
        makespan, steady = predicted(row.method, row.one_way, row.rounds, start_up)
        found.append(Row(**{**asdict(row), "predicted": makespan, "predicted_steady": steady}))
        error = f"{100 * (makespan / row.makespan - 1):+.1f} %"
        what = f"{row.method:22} {1000 * row.one_way:5.0f} ms: {row.makespan:6.1f} s"
        print(f"{what}, predicted {makespan:6.1f} s ({error}), {row.steady:.2f} s a block")
    document = {
        "calibration": asdict(rows[0]),
        "start_up": start_up,
        "requests": REQUESTS,
        "repeats": chosen.repeats,
        "rounds": chosen.rounds,
        "at_once": chosen.at_once,
        "rows": [asdict(row) for row in found],
    }
    draw(document)


if __name__ == "__main__":
    main()
