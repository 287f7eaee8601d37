"""What delayed gradient averaging promises, with nothing left to choose: time to target of FedAvg and DGA on Fashion-MNIST.

    python benchmarks/dga_promise.py [--workers 2] [--out docs/figures/dga_promise]

Ten clients, a small CNN, full update, K = 5 local steps of 100 ms, one-way latency 1 s, D = 20; IID data, Dirichlet(0.5)
and two classes per client; five rates, three seeds. Per seed the target is 95 % of FedAvg's highest accuracy over its
rates, a strategy's time is that of its fastest rate, and the result is the median over the seeds. A DGA run is stopped
once it can no longer be the fastest of its rates, which changes no result. Writes a figure (.png, .svg) and the numbers
(.json), and prints them as a table.
"""

import argparse
import json
import statistics
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml

PARTITIONS = {
    "IID": {"kind": "iid"},
    "Dirichlet 0.5": {"kind": "dirichlet", "alpha": 0.5},
    "2 classes per client": {"kind": "shards", "classes_per_client": 2},
}
RATES = (0.2, 0.1, 0.05, 0.025, 0.0125)
SEEDS = (0, 1, 2)
FEDAVG_ROUNDS, DGA_ROUNDS, EVERY = 300, 1500, 5
FEDAVG, DGA = {"kind": "fedavg"}, {"kind": "dga", "delay": 20}


def scenario(partition: str, seed: int, rate: float, strategy: dict[str, Any], stop: dict[str, Any]) -> dict[str, Any]:
    """The scenario as YAML says it; nothing in it is a choice of this script but rate and seed."""
    return {
        "name": "dga_promise",
        "seed": seed,
        "model": {"kind": "small_cnn"},
        "data": {"kind": "fashion_mnist", "train_examples": 20000, "partition": PARTITIONS[partition]},
        "training": {"batch_size": 32, "local_steps": 5, "optimizer": {"kind": "sgd", "learning_rate": rate}},
        "update": {"kind": "full"},
        "strategy": strategy,
        "fleet": [
            {
                "count": 10,
                "device": {"kind": "custom", "memory": "1 GB", "step_time": "100 ms"},
                "network": {"kind": "custom", "latency": "1 s"},
            }
        ],
        "stop": stop,
        "evaluation": {"every": EVERY},
    }


def curve(folder: Path, *what: Any) -> tuple[list[float], list[float]]:
    """Virtual times and accuracies of the evaluated versions of one run."""
    from fedtiny.experiment import run
    from fedtiny.scenario.files import load_scenario

    path = folder / "scenario.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(scenario(*what)))
    rows = [row for row in run(load_scenario(path)).rounds.to_pylist() if row["accuracy"] is not None]
    return [row["virtual_time"] for row in rows], [row["accuracy"] for row in rows]


def reached(times: list[float], accuracies: list[float], target: float) -> float | None:
    """When the target is first reached, in seconds."""
    return next((time for time, accuracy in zip(times, accuracies, strict=True) if accuracy >= target), None)


def measure(job: tuple[str, int, str]) -> dict[str, Any]:
    """Both strategies on one partition and seed."""
    partition, seed, folder = job
    place = Path(folder) / f"{partition}-{seed}".replace(" ", "_")
    fedavg = {rate: curve(place, partition, seed, rate, FEDAVG, {"rounds": FEDAVG_ROUNDS}) for rate in RATES}
    target = 0.95 * max(max(accuracies) for _, accuracies in fedavg.values())
    fedavg_times = {rate: reached(*found, target) for rate, found in fedavg.items()}
    dga, best = {}, None
    for rate in RATES:
        stop: dict[str, Any] = {"rounds": DGA_ROUNDS, "target_accuracy": target}
        dga[rate] = curve(place, partition, seed, rate, DGA, stop if best is None else {**stop, "virtual_time": f"{best!r} s"})
        time = reached(*dga[rate], target)
        best = time if best is None or (time is not None and time < best) else best
    result: dict[str, Any] = {"partition": partition, "seed": seed, "target": target, "fedavg": fedavg_times}
    result["dga"] = {rate: reached(*found, target) for rate, found in dga.items()}
    result["curves"] = {"fedavg": fedavg[fastest(result["fedavg"])], "dga": dga[fastest(result["dga"])]}
    print(json.dumps({key: value for key, value in result.items() if key != "curves"}), flush=True)
    return result


def fastest(times: dict[float, float | None]) -> float:
    """The rate that reaches the target first; the first rate if none does."""
    return min(times, key=lambda rate: float("inf") if times[rate] is None else times[rate])


def summary(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians over the seeds, one row per partition; None where most seeds never reach the target."""
    rows = []
    for partition in PARTITIONS:
        of = [result for result in results if result["partition"] == partition]
        times = {name: statistics.median(best(result[name]) for result in of) for name in ("fedavg", "dga")}
        ratios = [best(result["fedavg"]) / best(result["dga"]) for result in of]
        target = statistics.median(result["target"] for result in of)
        rows.append({"partition": partition, "target": target, **times, "ratio": statistics.median(ratios)})
    return rows


def best(times: dict[float, float | None]) -> float:
    """The time of the fastest rate, infinite if no rate reaches the target."""
    found = times[fastest(times)]
    return float("inf") if found is None else found


def draw(results: list[dict[str, Any]], rows: list[dict[str, Any]], out: Path) -> None:
    """Accuracy over virtual time, one panel per partition, thin lines for seeds; the target and both times are marked."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = {"fedavg": "#D55E00", "dga": "#0072B2"}
    names = {"fedavg": "FedAvg", "dga": "DGA, D = 20"}
    with matplotlib.rc_context({"svg.hashsalt": "fedtiny", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9.5, 3.3), layout="constrained")
        FigureCanvasAgg(figure)
        for axes, row in zip(figure.subplots(1, len(rows), sharey=True), rows, strict=True):
            limit = 1.35 * max(value for value in (row["fedavg"], row["dga"]) if value != float("inf"))
            for result in (result for result in results if result["partition"] == row["partition"]):
                for name, colour in colours.items():
                    axes.plot(*result["curves"][name], color=colour, alpha=0.55, linewidth=1)
            for name, colour in colours.items():
                if row[name] != float("inf"):
                    axes.axvline(row[name], color=colour, linestyle=(0, (4, 2)), linewidth=1)
            axes.axhline(row["target"], color="0.45", linewidth=0.8, linestyle=":")
            axes.set(xlim=(0, limit), xlabel="virtual time (s)", title=f"{row['partition']}\nFedAvg ÷ DGA: {row['ratio']:.2f}")
        for name, colour in colours.items():
            figure.axes[-1].plot([], [], color=colour, label=names[name])
        figure.axes[0].set_ylabel("accuracy on the test set")
        figure.axes[-1].legend(frameon=False, loc="lower right")
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out.with_suffix(".png"), dpi=180, metadata={"Software": None})
        figure.savefig(out.with_suffix(".svg"), metadata={"Date": None})


def main() -> None:
    """Runs everything and writes figure, numbers and table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("docs/figures/dga_promise"))
    parser.add_argument("--scratch", type=Path, default=Path("runs/dga_promise"))
    options = parser.parse_args()
    jobs = [(partition, seed, str(options.scratch)) for seed in SEEDS for partition in PARTITIONS]
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(measure, jobs))
    rows = summary(results)
    draw(results, rows, options.out)
    numbers = [{key: value for key, value in result.items() if key != "curves"} for result in results]
    options.out.with_suffix(".json").write_text(json.dumps({"summary": rows, "runs": numbers}, indent=1) + "\n")
    print("| data | target | FedAvg | DGA | FedAvg / DGA |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['partition']} | {row['target']:.3f} | {row['fedavg']:.1f} s | {row['dga']:.1f} s | {row['ratio']:.2f} |")


if __name__ == "__main__":
    main()
