"""Mixed fleets over seeds: accuracy over virtual time, of all test examples and by device class, for three ways to deal with memory.

    fedtiny sweep scenarios/papers/mixed_fleet.yaml --seeds 5 --out runs/papers/mixed_fleet
    python benchmarks/mixed_fleet.py [--runs runs/papers/mixed_fleet] [--out docs/figures/mixed_fleet]

Reads the sweep's folder. Draws the mean over the seeds and its 95 % interval (Student t), writes figure (.png, .svg) and numbers
(.json), and prints the tables of docs/mixed_fleets.md: the accuracy of the last version, and the differences between the arms, seed by
seed.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fedtiny.results.class_accuracy import accuracy_by_class
from fedtiny.results.folder import read_run
from fedtiny.results.metrics import accuracies, floats
from fedtiny.results.record import RunResult
from fedtiny.results.statistics import Interval, mean_interval, paired_difference
from fedtiny.results.sweep import read_sweep

ARMS = {
    "automatic": ("#0072B2", "each device what fits it"),
    "full": ("#D55E00", "full update, others left out"),
    "bias": ("#009E73", "all what the smallest can"),
}
PARTITIONS = {"by_device_class": "three labels mostly on the smallest", "iid": "IID"}
STARTS = {"pretrained": "pre-trained backbone", "random": "random backbone"}
CLASSES = ("all test examples", "smallest devices", "middle devices", "largest devices")
_MOMENTS = 60

PANELS = (("by_device_class", 0), ("by_device_class", 1), ("by_device_class", 3), ("iid", 0))

Setting = tuple[str, str]
"""Start and partition."""
Curves = dict[tuple[Setting, str, str], dict[int, tuple[np.ndarray, np.ndarray]]]
"""(setting, arm, class) -> seed -> times and accuracies of the evaluated versions."""


def curves_of(folder: Path) -> tuple[Curves, dict[tuple[Setting, str], RunResult]]:
    """All curves of the sweep, and one run of each arm."""
    sweep = read_sweep(folder)
    found: Curves = {}
    examples: dict[tuple[Setting, str], RunResult] = {}
    for row in sweep.cells.to_pylist():
        if row["status"] != "done":
            raise SystemExit(f"cell {row['cell']} is {row['status']}: run the sweep again")
        run = read_run(folder / sweep.folders[row["cell"]])
        arm = next(name for name in ARMS if f"kind: {name}" in row["update"] or row["update"] == name)
        partition = next(name for name in PARTITIONS if name in row["data.partition"])
        setting = ("pretrained" if "steps" in row["model.pretrained"] else "random", partition)
        examples.setdefault((setting, arm), run)
        for name, curve in curves(run).items():
            found.setdefault((setting, arm, name), {})[row["seed"]] = curve
    return found, examples


def curves(run: RunResult) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Times and accuracies of one run, over all test examples and by device class."""
    times, accuracy = floats(run.rounds, "virtual_time"), accuracies(run.rounds)
    known = ~np.isnan(accuracy)
    by_class = accuracy_by_class(run.devices, run.labels)
    return {CLASSES[0]: (times[known], accuracy[known])} | {
        name: (times[known], entry.accuracy) for name, entry in zip(CLASSES[1:], by_class, strict=True)
    }


def last(seeds: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> dict[int, float]:
    """The accuracy of the last version, by seed."""
    return {seed: float(accuracy[-1]) for seed, (_, accuracy) in seeds.items()}


def band(seeds: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments, mean and half of the 95 % interval; between two versions the earlier one is in force."""
    end = min(times[-1] for times, _ in seeds.values())
    moments = np.linspace(0, end, _MOMENTS)
    values = np.stack([accuracy[np.searchsorted(times, moments + 1e-9, side="right") - 1] for times, accuracy in seeds.values()])
    intervals = [mean_interval(column) for column in values.T]
    return moments, np.array([one.mean for one in intervals if one]), np.array([one.half_width or 0.0 for one in intervals if one])


def draw(found: Curves, out: Path) -> None:
    """One row of panels for each start; all test examples, the smallest and the largest devices, and IID data."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "fedtiny", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(10.5, 5.6), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(len(STARTS), len(PANELS), sharex=True, sharey=True)
        for row, start in zip(panels, STARTS, strict=True):
            for axes, (partition, place) in zip(row, PANELS, strict=True):
                for arm, (colour, label) in ARMS.items():
                    moments, mean, half = band(found[(start, partition), arm, CLASSES[place]])
                    axes.plot(moments, 100 * mean, color=colour, label=f"{arm}: {label}", linewidth=1.4)
                    axes.fill_between(moments, 100 * (mean - half), 100 * (mean + half), color=colour, alpha=0.18, linewidth=0)
                axes.grid(visible=True, axis="y", color="0.88", linewidth=0.6)
                axes.set_title(f"{CLASSES[place]}\n{PARTITIONS[partition]}", fontsize=8.5, loc="left")
            row[0].set_ylim(bottom=0)
            row[0].set_ylabel(f"{STARTS[start]}\naccuracy (%)")
        for axes in panels[-1]:
            axes.set_xlabel("virtual time (s)")
        figure.legend(handles=panels[0][0].get_lines(), loc="outside upper left", ncols=3, frameon=False)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out.with_suffix(".png"), dpi=180, metadata={"Software": None})
        figure.savefig(out.with_suffix(".svg"), metadata={"Date": None})


def text(interval: Interval | None, *, signed: bool = False) -> str:
    """A mean and half its interval in percent; of a difference with its sign, and a star where the interval excludes 0."""
    if interval is None or interval.half_width is None:
        return "-"
    star = " *" if signed and abs(interval.mean) > interval.half_width else ""
    return f"{100 * interval.mean:{'+' if signed else ''}.1f} ± {100 * interval.half_width:.1f}{star}"


def table(found: Curves) -> list[dict[str, Any]]:
    """One row per setting and class: the arms' last accuracies, and what automatic has on the others, seed by seed."""
    rows = []
    for setting in dict.fromkeys(setting for setting, _, _ in found):
        for name in CLASSES if setting[1] != "iid" else CLASSES[:1]:
            ends = {arm: last(found[setting, arm, name]) for arm in ARMS}
            row: dict[str, Any] = {"start": STARTS[setting[0]], "data": PARTITIONS[setting[1]], "accuracy on": name}
            row |= {arm: text(mean_interval(values.values())) for arm, values in ends.items()}
            row |= {f"automatic - {arm}": text(paired_difference(ends["automatic"], ends[arm]), signed=True) for arm in ("full", "bias")}
            rows.append(row)
    return rows


def costs(examples: Mapping[tuple[Setting, str], RunResult]) -> list[dict[str, Any]]:
    """What each arm takes: devices, rounds, bytes; of the first setting and seed, the others take the same but for a round."""
    rows = []
    for arm in ARMS:
        run = next(run for (_, name), run in examples.items() if name == arm)
        schemes = [row["scheme"] for row in run.devices.to_pylist() if row["scheme"]]
        trained = ", ".join(f"{schemes.count(scheme)} {scheme}" for scheme in dict.fromkeys(schemes))
        moved = {f"MB {way}": round(run.summary[f"bytes_{way}"] / 1e6, 1) for way in ("up", "down")}
        rows.append({"arm": arm, "devices": trained, "rounds": run.summary["rounds"], **moved})
    return rows


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows as a table in Markdown."""
    print("\n| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(rows[0]))
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")


def main() -> None:
    """Reads the sweep, writes figure and numbers, prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/papers/mixed_fleet"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures/mixed_fleet"))
    options = parser.parse_args()
    found, examples = curves_of(options.runs)
    draw(found, options.out)
    rows, taken = table(found), costs(examples)
    ends = [{"setting": key[0], "arm": key[1], "accuracy on": key[2], "by seed": last(seeds)} for key, seeds in found.items()]
    options.out.with_suffix(".json").write_text(json.dumps({"table": rows, "costs": taken, "last": ends}, indent=1) + "\n")
    show(rows)
    show(taken)


if __name__ == "__main__":
    main()
