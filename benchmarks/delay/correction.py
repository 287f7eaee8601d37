"""What the correction of DGA is worth: accuracy with it, without it, and with it folded into the upload, over the delay.

    fedtiny sweep scenarios/papers/dga_correction.yaml --seeds 5 --out runs/papers/dga_correction
    python benchmarks/delay/correction.py [--runs runs/papers/dga_correction] [--out docs/figures/dga_correction]

Published beside it: ResNet-18 on CIFAR-10, top-1 in percent (Zhu et al., NeurIPS 2021; table in the lecture on DGA). Means over the seeds
with 95 % intervals (Student's t).
"""

import argparse
import json
from pathlib import Path
from typing import Final

from cells import cells_of
from law import write

from fedtiny.reports.style import BLUE, GREEN, TWO_COLUMNS, VERMILLION, new_figure, paper
from fedtiny.results.statistics import Interval, mean_interval, paired_difference

PUBLISHED: Final = {5: (89.2, 88.7), 10: (89.3, 86.9), 15: (89.0, 85.5), 20: (88.7, 84.2)}
"""By D: with the correction, and without it."""
LOOK: Final = {
    "delayed": ("corrected (the paper's)", BLUE, "o"),
    "stale_average": ("stale average only", VERMILLION, "s"),
    "in_upload": ("corrections in the upload", GREEN, "^"),
}
Accuracies = dict[tuple[str, int], dict[int, float]]


def draw(found: Accuracies, out: Path) -> None:
    """Ours at the left, the published table at the right."""
    with paper():
        figure = new_figure(TWO_COLUMNS, 2.6)
        ours, theirs = figure.subplots(1, 2)
        for correction, (label, colour, marker) in LOOK.items():
            delays = sorted(delay for name, delay in found if name == correction)
            intervals = [interval_of(found[correction, delay]) for delay in delays]
            means, halves = [100 * one.mean for one in intervals], [100 * (one.half_width or 0) for one in intervals]
            ours.errorbar(delays, means, yerr=halves, color=colour, marker=marker, capsize=2, label=label)
        for place, name in enumerate(("delayed", "stale_average")):
            label, colour, marker = LOOK[name]
            theirs.plot(list(PUBLISHED), [values[place] for values in PUBLISHED.values()], color=colour, marker=marker)
        for axes, title in ((ours, "small CNN, Fashion-MNIST (simulated)"), (theirs, "ResNet-18, CIFAR-10 (published)")):
            axes.set(xlabel="delay D (steps), K = 1", title=title, xticks=list(PUBLISHED))
            axes.grid(visible=True)
        ours.set_ylabel("accuracy (%)")
        ours.legend(loc="lower left")
        write(figure, out)


def interval_of(by_seed: dict[int, float]) -> Interval:
    """Mean and interval over the seeds."""
    interval = mean_interval(by_seed.values())
    assert interval is not None
    return interval


def text(interval: Interval | None) -> str:
    """A mean and half its interval, in percent."""
    if interval is None:
        return "-"
    return f"{100 * interval.mean:.1f}" + ("" if interval.half_width is None else f" ± {100 * interval.half_width:.1f}")


def main() -> None:
    """Reads the sweep, draws, and prints accuracies and paired gaps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/papers/dga_correction"))
    parser.add_argument("--out", type=Path, default=Path("docs/figures/dga_correction"))
    options = parser.parse_args()
    found: Accuracies = {}
    for cell in cells_of(options.runs):
        strategy = cell.scenario["strategy"]
        found.setdefault((strategy["correction"], strategy["delay"]), {})[cell.summary["seed"]] = cell.summary["accuracy"]
    draw(found, options.out)
    numbers = [{"correction": name, "D": delay, "accuracy": by_seed} for (name, delay), by_seed in found.items()]
    options.out.with_suffix(".json").write_text(json.dumps(numbers, indent=1) + "\n")
    print("| D | corrected | stale average only | gap | in the upload | published: corrected, without |\n|---|---|---|---|---|---|")
    for delay, (with_it, without) in PUBLISHED.items():
        own, stale, folded = (found[name, delay] for name in LOOK)
        gap = text(paired_difference(own, stale))
        columns = [text(interval_of(own)), text(interval_of(stale)), gap, text(interval_of(folded)), f"{with_it}, {without}"]
        print(f"| {delay} | " + " | ".join(columns) + " |")


if __name__ == "__main__":
    main()
