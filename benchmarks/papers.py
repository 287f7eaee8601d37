"""The papers' tables again, from the sweeps of scenarios/papers: accuracy and memory, paired over seeds, tables and figures.

    make papers                                    runs the sweeps (finished runs are kept), then this
    python benchmarks/papers.py [--runs runs/papers] [--out docs/figures]

For every sweep: mean accuracy of the last round with its 95 % interval over the seeds, the largest peak memory of a device, and
the differences between neighbouring arms, taken seed by seed. Writes a figure (.png, .svg) and the numbers (.json) for each,
and prints the tables that docs/papers.md shows. Published numbers are drawn beside ours, never mixed with them.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from fedtiny.results.folder import read_run
from fedtiny.results.statistics import Interval, mean_interval, paired_difference
from fedtiny.results.sweep import combinations, read_sweep

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#1f2328", "#6a737d")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class Arm:
    """One arm of an experiment: accuracy by seed, and what it takes."""

    name: str
    accuracy: Mapping[int, float]
    peak_memory: int
    payload: int
    status: str

    @property
    def interval(self) -> Interval | None:
        """Mean accuracy over the seeds and its 95 % interval."""
        return mean_interval(self.accuracy.values())


def arms_of(folder: Path, name_of: Callable[[tuple[str, ...]], str]) -> list[Arm]:
    """The arms of a sweep in the order of its axes, with the memory of the most demanding device of each."""
    sweep = read_sweep(folder)
    found = []
    for combination in combinations(sweep):
        done = [row for row in combination.rows if row["status"] == "done"]
        memory = payload = 0
        if done:
            run = read_run(folder / sweep.folders[done[0]["cell"]])
            memory = max(row["peak_memory"] for row in run.devices.to_pylist())
            payload = max((row["payload_bytes"] for row in run.activities.to_pylist() if row["kind"] == "upload"), default=0)
        accuracy = {row["seed"]: row["accuracy"] for row in done}
        found.append(Arm(name_of(combination.values), accuracy, memory, payload, combination.status))
    return found


def percent(interval: Interval | None) -> str:
    """A mean and half its interval, in percent."""
    if interval is None:
        return "-"
    spread = "" if interval.half_width is None else f" ± {100 * interval.half_width:.1f}"
    return f"{100 * interval.mean:.1f}{spread}"


def points(interval: Interval | None) -> str:
    """A difference in percentage points; a star where its interval excludes 0."""
    if interval is None or interval.half_width is None:
        return "-"
    star = " *" if abs(interval.mean) > interval.half_width else ""
    return f"{100 * interval.mean:+.1f} ± {100 * interval.half_width:.1f}{star}"


def megabytes(count: float) -> str:
    """Bytes as MB or kB, three digits."""
    return f"{count / 1e6:.3g} MB" if count >= 1e6 else f"{count / 1e3:.3g} kB"


def differences(arms: Sequence[Arm], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Accuracy of the second arm minus that of the first, over the seeds they share."""
    by_name = {arm.name: arm for arm in arms}
    rows = []
    for first, second in pairs:
        if first in by_name and second in by_name and by_name[first].accuracy and by_name[second].accuracy:
            interval = paired_difference(by_name[second].accuracy, by_name[first].accuracy)
            rows.append({"from": first, "to": second, "difference": points(interval), **_numbers(interval)})
    return rows


def _numbers(interval: Interval | None) -> dict[str, float | None]:
    return {} if interval is None else {"mean": interval.mean, "half_width": interval.half_width}


def print_arms(title: str, arms: Sequence[Arm]) -> None:
    """The table of an experiment."""
    print(f"\n## {title}\n\n| arm | accuracy, % | peak memory | upload of a device per round |\n|---|---|---|---|")
    for arm in arms:
        print(f"| {arm.name} | {percent(arm.interval)} | {megabytes(arm.peak_memory)} | {megabytes(arm.payload)} |")


def print_differences(rows: Sequence[Mapping[str, Any]]) -> None:
    """The table of paired differences."""
    print("\n| from | to | difference in points (paired, 95 %; * excludes 0) |\n|---|---|---|")
    for row in rows:
        print(f"| {row['from']} | {row['to']} | {row['difference']} |")


def pareto_figure(
    arms: Sequence[Arm], published: Sequence[tuple[str, float, float]], titles: tuple[str, str], out: Path, *, unit: float = 1e6
) -> None:
    """Memory against accuracy: ours with intervals, and beside it the published points (name, memory, accuracy in percent)."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "fedtiny", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(7.2 if published else 4.6, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, 2 if published else 1, squeeze=False)[0]
        ours = [(arm.name, arm.peak_memory / unit, 100 * arm.interval.mean, arm.interval.half_width) for arm in arms if arm.interval]
        _points(panels[0], [(name, memory, mean, None if half is None else 100 * half) for name, memory, mean, half in ours], titles[0])
        if published:
            _points(panels[1], [(name, memory, accuracy, None) for name, memory, accuracy in published], titles[1])
        for axes in panels:
            axes.set_xlabel(f"training memory ({'MB' if unit == 1e6 else 'kB'}, log scale)")
        panels[0].set_ylabel("accuracy (%)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, frameon=False, fontsize=7.5, loc="outside lower center", ncols=4 if published else 3)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out.with_suffix(".png"), dpi=180, metadata={"Software": None})
        figure.savefig(out.with_suffix(".svg"), metadata={"Date": None})


def _points(axes: Any, rows: Sequence[tuple[str, float, float, float | None]], title: str) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    best = float("-inf")
    front = []
    for row in sorted(rows, key=lambda row: (row[1], -row[2])):
        if row[2] > best:
            best = row[2]
            front.append(row)
    axes.plot([row[1] for row in front], [row[2] for row in front], color="#b0b7bf", linewidth=1, drawstyle="steps-post", zorder=1)
    for number, (name, memory, accuracy, half) in enumerate(rows):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        axes.errorbar(memory, accuracy, yerr=half, color=colour, marker=marker, markersize=5, capsize=2, linestyle="none", label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, fontsize=9, loc="left")


def write_numbers(out: Path, arms: Sequence[Arm], rows: Sequence[Mapping[str, Any]]) -> None:
    """The numbers behind a figure."""
    document = {
        "arms": [{"name": arm.name, "peak_memory": arm.peak_memory, "payload": arm.payload, "accuracy": arm.accuracy} for arm in arms],
        "paired_differences": list(rows),
    }
    out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


# TinyTL, Table 2 (arXiv 2007.11622): memory in MB at batch 8 and 224 pixels; accuracy, the mean over its nine data sets
TINYTL_PUBLISHED = (
    ("last", 31, (90.1, 50.9, 73.3, 68.7, 91.3, 44.9, 85.9, 68.8, 88.7)),
    ("bias", 32, (93.5, 73.4, 75.3, 75.5, 92.1, 63.2, 93.7, 78.8, 90.4)),
    ("tinytl", 37, (95.5, 85.0, 77.1, 79.7, 91.8, 75.4, 95.9, 81.4, 91.2)),
    ("norm_last", 192, (94.3, 77.9, 76.3, 77.0, 92.2, 68.1, 94.8, 80.2, 90.4)),
    ("full", 391, (96.8, 90.2, 81.0, 84.6, 93.0, 86.0, 97.1, 84.1, 91.4)),
)


def tinytl(runs: Path, out: Path) -> None:
    """TinyTL, Table 2: which parameters train."""
    arms = arms_of(runs / "tinytl", lambda values: values[0].split(",")[0])
    rows = differences(arms, [("last", "bias"), ("bias", "tinytl"), ("tinytl", "full"), ("norm_last", "tinytl"), ("bias", "norm_last")])
    print_arms("TinyTL", arms)
    print_differences(rows)
    published = [(name, memory, sum(values) / len(values)) for name, memory, values in TINYTL_PUBLISHED]
    titles = ("here: ImageNet to Fashion-MNIST, federated", "published: mean of nine data sets, central")
    pareto_figure(arms, published, titles, out / "papers_tinytl")
    write_numbers(out / "papers_tinytl", arms, rows)


SPARSE_NAMES = {"last": "head alone", "full": "full"}


def _sparse_name(values: tuple[str, ...]) -> str:
    update = yaml.safe_load(values[0])
    if isinstance(update, str):
        return SPARSE_NAMES[update]
    if "scheme" in update:
        return str(update["scheme"]).removeprefix("mcunet_5fps_").replace("kb", " kB scheme")
    return "last 12 layers" if update.get("weights") else "all biases"


def extra_kilobytes(updates: Sequence[Any]) -> list[float]:
    """Extra memory of the updates on MCUNet-5fps at 3x128x128 with ten classes, in kB of 1024 bytes: what schemes are named by."""
    from fedtiny.costs.extra_memory import extra_memory
    from fedtiny.models.mcunet import McuNet5Fps
    from fedtiny.models.measure import summarize
    from fedtiny.models.seeded import build_seeded
    from fedtiny.scenario.choices import AnyUpdate
    from fedtiny.scenario.files import read_part

    shape = (3, 128, 128)
    network = build_seeded(McuNet5Fps(normalization="folded"), shape, 10, lite_residual=False, seed=0)
    summary = summarize(network, "mcunet_5fps", shape, 10)
    parts = [read_part(yaml.safe_dump(update), AnyUpdate, "update") for update in updates]
    return [extra_memory(summary, part.plan(summary)).kilobytes for part in parts]


def sparse_update(runs: Path, out: Path) -> None:
    """Sparse update: how much of a network must train."""
    arms = arms_of(runs / "sparse_update", _sparse_name)
    updates = [yaml.safe_load(label) for (label,) in (one.values for one in combinations(read_sweep(runs / "sparse_update")))]
    extra = extra_kilobytes([{"kind": update} if isinstance(update, str) else update for update in updates])
    pairs = [("head alone", "all biases"), ("all biases", "49 kB scheme"), ("49 kB scheme", "99 kB scheme")]
    pairs += [("99 kB scheme", "148 kB scheme"), ("last 12 layers", "99 kB scheme"), ("last 12 layers", "148 kB scheme")]
    rows = differences(arms, [*pairs, ("148 kB scheme", "full")])
    print_arms("Sparse update", arms)
    print("\n| arm | extra memory at 3x128x128, batch 1 |\n|---|---|")
    for arm, kilobytes in zip(arms, extra, strict=True):
        print(f"| {arm.name} | {kilobytes:.1f} kB |")
    print_differences(rows)
    shown = [replace(arm, peak_memory=round(1024 * kilobytes)) for arm, kilobytes in zip(arms, extra, strict=True)]
    title = "int8 MCUNet, Fashion-MNIST, federated\nextra memory at 3x128x128"
    pareto_figure(shown, (), (title, ""), out / "papers_sparse_update", unit=1024)
    write_numbers(out / "papers_sparse_update", arms, rows)


# the five arms of scenarios/papers/qas.yaml, and what the paper's table 1 gives for the first three (SGD with momentum, last two blocks)
QAS_NAMES = ("fp32", "int8, QAS", "int8, no QAS", "int8 stored, nearest", "int8 stored, stochastic")
QAS_PUBLISHED = (73.3, 73.5, 64.9)


def qas(runs: Path, out: Path) -> None:
    """Quantization-aware scaling: int8 against floating point."""
    names = iter(QAS_NAMES)
    arms = arms_of(runs / "qas", lambda _: next(names))
    rows = differences(arms, [("fp32", name) for name in QAS_NAMES[1:]] + [("int8, no QAS", "int8, QAS")])
    print_arms("Quantization-aware scaling", arms)
    print_differences(rows)
    bar_figure(arms, QAS_PUBLISHED, out / "papers_qas")
    write_numbers(out / "papers_qas", arms, rows)


def bar_figure(arms: Sequence[Arm], published: Sequence[float], out: Path) -> None:
    """Accuracy of every arm with its interval; published numbers as hollow markers beside the first arms."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "fedtiny", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(6.2, 3.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for place, arm in enumerate(arms):
            interval = arm.interval
            if interval is not None:
                half = None if interval.half_width is None else 100 * interval.half_width
                axes.bar(place, 100 * interval.mean, 0.55, yerr=half, color=COLOURS[place], capsize=3)
                axes.annotate(percent(interval), (place, 2), ha="center", color="white", fontsize=8)
        axes.plot(range(len(published)), published, "D", color="black", markerfacecolor="white", label="published: mean of eight data sets")
        axes.set_xticks(range(len(arms)), [arm.name.replace(", ", ",\n") for arm in arms])
        axes.set_ylabel("accuracy (%)")
        axes.legend(frameon=False, loc="upper right", fontsize=8)
        axes.set_ylim(0, 100)
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out.with_suffix(".png"), dpi=180, metadata={"Software": None})
        figure.savefig(out.with_suffix(".svg"), metadata={"Date": None})


EXPERIMENTS: dict[str, Callable[[Path, Path], None]] = {"tinytl": tinytl, "sparse_update": sparse_update, "qas": qas}


def main() -> None:
    """Summarises the sweeps that are named, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/papers"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures"))
    parser.add_argument("names", nargs="*", choices=[*EXPERIMENTS, []], default=[])
    options = parser.parse_args()
    for name in options.names or EXPERIMENTS:
        EXPERIMENTS[name](options.runs, options.out)


if __name__ == "__main__":
    main()
