"""The Raspberry Pi cluster of DGA's authors beside the simulation: speed-up over one node, for 2, 4 and 8 nodes.

    fedtiny sweep scenarios/papers/dga_raspberry_pi.yaml --out runs/papers/dga_raspberry_pi
    python benchmarks/delay/raspberry_pi.py [--runs runs/papers/dga_raspberry_pi] [--out docs/figures/dga_raspberry_pi]

A speed-up is steps per second of all nodes over those of one that works alone, n K c / period. Published values: figure of the lecture on
DGA (Zhu et al., NeurIPS 2021; slides of MIT's 6.5940), which shows 1 to 8 nodes where the abstract says 16. FedAvg's four values at 8
nodes fix one round trip for each task (see the scenario); everything else is what follows.
"""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from cells import Cell, cells_of
from law import write

from fedtiny.reports.style import BLUE, ORANGE, TWO_COLUMNS, VERMILLION, new_figure, paper

SETTLED, MEASURED = 80, 40
METHODS: Final = ("FedAvg, K = 5", "FedAvg, K = 10", "DGA, K = 5, D = 20")
PUBLISHED: Final = {
    ("vision", "FedAvg, K = 5"): {1: 1.0, 2: 0.6, 4: 1.5, 8: 2.6},
    ("vision", "FedAvg, K = 10"): {1: 1.0, 2: 0.9, 4: 1.9, 8: 3.8},
    ("vision", "DGA, K = 5, D = 20"): {1: 1.0, 2: 1.7, 4: 3.7, 8: 7.1},
    ("language", "FedAvg, K = 5"): {1: 1.0, 2: 0.7, 4: 1.4, 8: 3.0},
    ("language", "FedAvg, K = 10"): {1: 1.0, 2: 1.0, 4: 2.2, 8: 4.2},
    ("language", "DGA, K = 5, D = 20"): {1: 1.1, 2: 1.9, 4: 3.9, 8: 7.5},
}
ROUND_TRIPS: Final = {"vision": 10.7, "language": 8.7}
"""Steps in a round trip, as fitted to what is published of FedAvg at 8 nodes."""
LOOK: Final = dict(zip(METHODS, ((VERMILLION, "o"), (ORANGE, "s"), (BLUE, "^")), strict=True))

Speedups = dict[tuple[str, str], dict[int, float]]


def speedups(cells: list[Cell]) -> Speedups:
    """What was simulated, by task and method, then by nodes."""
    found: Speedups = {}
    for cell in cells:
        task = "language" if cell.scenario["model"]["kind"] == "char_lstm" else "vision"
        steps, nodes = int(cell.scenario["training"]["local_steps"]), int(cell.scenario["fleet"][0]["count"])
        _check(task, 2 * float(cell.scenario["network"]["latency"].removesuffix(" s")), round_compute(cell) / steps)
        name = f"FedAvg, K = {steps}" if cell.scenario["strategy"]["kind"] == "fedavg" else METHODS[-1]
        found.setdefault((task, name), {1: 1.0})[nodes] = nodes * round_compute(cell) / cell.period(SETTLED, MEASURED)
    return {key: found[key] for key in PUBLISHED}


def _check(task: str, round_trip: float, step: float) -> None:
    if abs(round_trip / step / ROUND_TRIPS[task] - 1) > 0.01:
        found = f"a round trip of {round_trip:g} s has {round_trip / step:.3g} of the catalog's steps of {step:.4g} s"
        raise SystemExit(f"{task}: {found} and not {ROUND_TRIPS[task]}: set network.latency to {step * ROUND_TRIPS[task] / 2:.4g} s")


def round_compute(cell: Cell) -> float:
    """Seconds of a device's steps in one round."""
    table = pq.read_table(cell.folder / "activities.parquet", columns=["device", "round", "kind", "start", "end"])
    rows = [row for row in table.to_pylist() if row["kind"] == "train" and row["device"] == 0 and row["round"] == SETTLED]
    return float(sum(row["end"] - row["start"] for row in rows))


def draw(found: Speedups, out: Path) -> None:
    """Simulated as lines, published as hollow marks."""
    with paper():
        figure = new_figure(TWO_COLUMNS, 2.7)
        for axes, task in zip(figure.subplots(1, 2, sharey=True), ("vision", "language"), strict=True):
            axes.plot([1, 8], [1, 8], ":", color="0.6", linewidth=0.8)
            for name in METHODS:
                colour, marker = LOOK[name]
                simulated, published = found[task, name], PUBLISHED[task, name]
                axes.plot(sorted(simulated), [simulated[nodes] for nodes in sorted(simulated)], color=colour, label=name)
                axes.plot(list(published), list(published.values()), marker, color=colour, markerfacecolor="none", markersize=5)
            axes.set(xlabel="Raspberry Pi 4 nodes", title=task, xticks=[1, 2, 4, 8])
            axes.grid(visible=True)
        figure.axes[0].plot([], [], "o", color="0.4", markerfacecolor="none", label="published, measured")
        figure.axes[0].set_ylabel("speed-up over one node")
        figure.axes[0].legend(loc="upper left")
        write(figure, out)


def main() -> None:
    """Reads the sweep, draws, and prints the table at 8 nodes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/papers/dga_raspberry_pi"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures/dga_raspberry_pi"))
    options = parser.parse_args()
    found = speedups(cells_of(options.runs))
    draw(found, options.out)
    rows: list[dict[str, Any]] = [
        {"task": task, "method": method, "nodes": nodes, "simulated": value, "published": PUBLISHED[task, method][nodes]}
        for (task, method), values in found.items()
        for nodes, value in values.items()
    ]
    options.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    print("| task | method | published at 8 nodes | simulated | difference |\n|---|---|---|---|---|")
    for row in (row for row in rows if row["nodes"] == 8):
        difference = 100 * (row["simulated"] / row["published"] - 1)
        print(f"| {row['task']} | {row['method']} | {row['published']} | {row['simulated']:.2f} | {difference:+.0f} % |")


if __name__ == "__main__":
    main()
