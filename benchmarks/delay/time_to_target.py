"""Time to target accuracy against latency: FedAvg, asynchronous strategies and delayed averaging, on three ways to spread the data.

    fedtiny sweep scenarios/papers/dga_time_to_target.yaml --seeds 5 --out runs/papers/dga_time_to_target
    python benchmarks/delay/time_to_target.py [--runs runs/papers/dga_time_to_target ...] [--out docs/figures/dga_time_to_target]

Three rows: time to target; what of it is the clock, the seconds that ten client updates take (a round of everybody); and what of it is
learning, how many times ten client updates it takes. A delay bends the second row at L = D c; what drift costs is the third row alone.
Means over the seeds with 95 % intervals (Student's t); a strategy of which any seed does not reach the target has no point.
Several folders count as one sweep.
"""

import argparse
import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from cells import Cell, cells_of
from law import write
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from fedtiny.reports.style import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, SOFT, TWO_COLUMNS, VERMILLION, new_figure, paper
from fedtiny.results.statistics import mean_interval

UPDATES: Final = 10
YELLOW: Final = "#b8a000"
"""Darker than Okabe and Ito's, which is too light for a line."""
LOOK: Final = {
    "FedAvg": (INK, "o", "-"),
    "FedAsync": (PURPLE, "P", "--"),
    "FedBuff": (ORANGE, "X", "--"),
    "DGA, D = 5": (SKY, "v", "-"),
    "DGA, D = 10": (BLUE, "s", "-"),
    "DGA, D = 20": (GREEN, "^", "-"),
    "DGA, D auto": (VERMILLION, "D", ":"),
    "DGA, D by drift": (YELLOW, "*", ":"),
}
PUBLISHED: Final = (2.55, 4.07)
"""The smallest and the largest speed-up of DGA over FedAvg in the paper's abstract."""
ROUND: Final = 0.5
"""Seconds of the K steps of a round."""
ROWS: Final = {"time": "time to target (s)", "clock": "seconds per\nten client updates", "learning": "ten client updates\nto target"}
NOTHING: Final = "no strategy reaches\nthe target with every seed"
PARTITIONS: Final = {"iid": "IID", "dirichlet": "Dirichlet 0.5", "shards": "2 classes per client"}

Points = dict[tuple[str, str], dict[float, list[dict[str, float | None]]]]


def name_of(strategy: Mapping[str, Any]) -> str:
    """What the figure calls a strategy of a resolved scenario."""
    kind = strategy["kind"]
    if kind == "dga":
        delay = strategy["delay"]
        return f"DGA, D = {delay}" if isinstance(delay, int) else {"auto": "DGA, D auto", "drift": "DGA, D by drift"}[delay["kind"]]
    return {"fedavg": "FedAvg", "fedasync": "FedAsync", "fedbuff": "FedBuff"}[str(kind)]


def measured(cell: Cell) -> dict[str, float | None]:
    """What one run gives for each row of the figure; None where the target is not reached."""
    rounds, target = cell.rounds, float(cell.scenario["stop"]["target_accuracy"])
    at = next((row for row, accuracy in enumerate(rounds["accuracy"]) if accuracy is not None and accuracy >= target), None)
    # the first versions of a run have no stall yet, and its last ones may be cut
    last = len(rounds["round"]) - 1
    first = min(last // 4, 20)
    updates = sum(rounds["participants"][first + 1 : last + 1]) / UPDATES
    clock = (rounds["virtual_time"][last] - rounds["virtual_time"][first]) / updates if updates else None
    if at is None:
        return {"time": None, "clock": clock, "learning": None}
    return {"time": rounds["virtual_time"][at], "clock": clock, "learning": sum(rounds["participants"][: at + 1]) / UPDATES}


def points_of(cells: list[Cell]) -> Points:
    """By partition and strategy, then by round trip (s): one entry for each seed."""
    found: Points = {}
    for cell in cells:
        content = cell.scenario
        round_trip = 2 * seconds(content["network"]["latency"] if content.get("network") else content["fleet"][0]["network"]["latency"])
        key = content["data"]["partition"]["kind"], name_of(content["strategy"])
        found.setdefault(key, {}).setdefault(round_trip, []).append(measured(cell))
    return found


def seconds(value: float | str) -> float:
    """A duration of a resolved scenario."""
    if isinstance(value, (int, float)):
        return float(value)
    number, unit = value.split()
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}[unit]


def draw(rows: list[dict[str, Any]], out: Path) -> None:
    """Three rows, a column for each partition, from the rows of the table."""
    with paper():
        figure = new_figure(TWO_COLUMNS, 5.6)
        panels = figure.subplots(len(ROWS), len(PARTITIONS), sharex=True, sharey="row")
        for column, (partition, title) in enumerate(PARTITIONS.items()):
            for place, (quantity, label) in enumerate(ROWS.items()):
                axes = panels[place][column]
                for name, (colour, marker, dash) in LOOK.items():
                    own = [row for row in rows if (row["partition"], row["strategy"]) == (partition, name)]
                    line(axes, own, quantity, colour, marker, dash, name)
                if not any(len(drawn.get_xdata()) for drawn in axes.lines):
                    axes.text(0.5, 0.5, NOTHING, transform=axes.transAxes, ha="center", va="center", color=SOFT)
                if column == 0:
                    axes.set_ylabel(label)
            panels[0][column].set_title(title)
        for axes in panels.flat:
            logarithmic(axes)
            axes.grid(visible=True)
        for axes in panels[-1]:
            axes.set_xlabel("round trip (s)")
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(LOOK) // 2, columnspacing=1.0)
        write(figure, out)


def logarithmic(axes: Axes) -> None:
    """Both axes, where anything is drawn; an axis without values has no ticks, as a logarithm of nothing has none."""
    for axis, side in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        neighbours = getattr(axes, f"get_shared_{side}_axes")().get_siblings(axes)
        if not any(len(drawn.get_xdata()) for panel in neighbours for drawn in panel.lines):
            axis.set_ticks([])
            continue
        getattr(axes, f"set_{side}scale")("log")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())


def line(axes: Axes, rows: list[dict[str, Any]], quantity: str, colour: str, marker: str, dash: str, name: str) -> None:
    """A strategy's means where every seed has one, and their intervals as a band."""
    along, means, low, high = [], [], [], []
    for row in sorted(rows, key=lambda row: float(row["round_trip"])):
        if row[f"{quantity}_seeds"] == row["seeds"]:
            mean, half = row[quantity], row[f"{quantity}_half_width"] or 0.0
            along.append(row["round_trip"])
            means.append(mean)
            low.append(max(mean - half, mean / 10))
            high.append(mean + half)
    axes.plot(along, means, color=colour, marker=marker, linestyle=dash, label=name)
    axes.fill_between(along, low, high, color=colour, alpha=0.15, linewidth=0)


def table(points: Points) -> list[dict[str, Any]]:
    """Every point with its interval."""
    rows = []
    for (partition, name), by_latency in points.items():
        for round_trip, seeds in sorted(by_latency.items()):
            row: dict[str, Any] = {"partition": partition, "strategy": name, "round_trip": round_trip, "seeds": len(seeds)}
            for quantity in ROWS:
                values = [seed[quantity] for seed in seeds if seed[quantity] is not None]
                interval = mean_interval(values)
                row[quantity] = None if interval is None else interval.mean
                row[f"{quantity}_half_width"] = None if interval is None else interval.half_width
                row[f"{quantity}_seeds"] = len(values)
            rows.append(row)
    return rows


def main() -> None:
    """Reads the sweep, draws, and prints time to target by strategy and round trip."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, nargs="+", default=[Path("runs/papers/dga_time_to_target")])
    parser.add_argument("--out", type=Path, default=Path("docs/figures/dga_time_to_target"))
    options = parser.parse_args()
    points = points_of([cell for folder in options.runs for cell in cells_of(folder)])
    rows = table(points)
    draw(rows, options.out)
    options.out.with_suffix(".json").write_text(json.dumps(rows, indent=1) + "\n")
    trips = sorted({row["round_trip"] for row in rows})
    print("| data | strategy | " + " | ".join(f"L = {trip:g} s" for trip in trips) + " |\n|---|---|" + "---|" * len(trips))
    for partition, title in PARTITIONS.items():
        for name in LOOK:
            own = {row["round_trip"]: row for row in rows if (row["partition"], row["strategy"]) == (partition, name)}
            if own:
                print(f"| {title} | {name} | " + " | ".join(text(own.get(trip)) for trip in trips) + " |")
    for partition, title in PARTITIONS.items():
        print(f"{title}: speed-ups of the paper: " + "; ".join(published_at(rows, partition)))


def published_at(rows: list[dict[str, Any]], partition: str) -> list[str]:
    """At which L / (K c) the speed-up of DGA with D = auto over FedAvg is that of the paper, linear between the points."""
    trips: dict[float, dict[str, float]] = {}
    for row in rows:
        if row["partition"] == partition and row["strategy"] in ("FedAvg", "DGA, D auto") and row["time_seeds"] == row["seeds"]:
            trips.setdefault(row["round_trip"], {})[row["strategy"]] = row["time"]
    points = [(trip / ROUND, times["FedAvg"] / times["DGA, D auto"]) for trip, times in sorted(trips.items()) if len(times) == 2]
    found = []
    for speedup in PUBLISHED:
        between = next((pair for pair in itertools.pairwise(points) if pair[0][1] <= speedup <= pair[1][1]), None)
        if between is None:
            found.append(
                f"{speedup}: not reached up to L/(Kc) = {points[-1][0]:g}, where it is {points[-1][1]:.2f}" if points else "no points"
            )
        else:
            (x0, y0), (x1, y1) = between
            found.append(f"{speedup} at L/(Kc) = {x0 + (x1 - x0) * (speedup - y0) / (y1 - y0):.1f} (equal rounds: {speedup - 1:.2f})")
    return found


def text(row: dict[str, Any] | None) -> str:
    """Mean and half interval, or how many seeds reached the target."""
    if row is None or not row["time_seeds"]:
        return "never"
    if row["time_seeds"] < row["seeds"]:
        return f"{row['time_seeds']} of {row['seeds']} seeds"
    half = row["time_half_width"]
    return f"{row['time']:.1f}" + ("" if half is None else f" ± {half:.1f}")


if __name__ == "__main__":
    main()
