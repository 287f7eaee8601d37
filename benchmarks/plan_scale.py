"""How `fedtiny plan` scales: time and memory against enrolled devices, and against device-rounds, beside raw SimPy.

    python benchmarks/plan_scale.py                  five blocks, about twelve minutes; the figure goes to docs/figures/plan_scale.*
    python benchmarks/plan_scale.py --blocks 1 --quick

Every measurement is a process of its own, so that its peak memory is its own; all of them are done once in every block, so that a
busy machine hurts them alike; medians are compared. Prints one JSON document, whose `ratio` is the time of planning a million enrolled
devices, 10,000 asked in each of 100 rounds, over that of `simpy_floor.py` for as many device-rounds. The time of a plan is that of
`fedtiny.plan.plan`, the network and the sums included and the import of libraries not.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent
_FIGURES: Final = _HERE.parent / "docs" / "figures"
_TARGET: Final = 2.0

Case = tuple[int, int, int]
"""(enrolled devices, asked in a round, rounds)."""

_LARGEST: Final[Case] = (1_000_000, 10_000, 100)
_POPULATIONS: Final[tuple[Case, ...]] = tuple((enrolled, 1000, 50) for enrolled in (1000, 10_000, 100_000, 1_000_000))
_WORK: Final[tuple[Case, ...]] = ((1_000_000, 1000, 10), (1_000_000, 1000, 100), (1_000_000, 10_000, 10), _LARGEST)
_QUICK: Final[tuple[Case, ...]] = ((1000, 1000, 10), (1_000_000, 1000, 10), (1_000_000, 10_000, 10))


def scenario(case: Case) -> dict[str, Any]:
    """A group of Raspberry Pis with made data, 20 examples each, and a linear network."""
    enrolled, asked, rounds = case
    network = {"kind": "custom", "latency": "50 ms", "downlink": "10 Mbit/s", "uplink": "2 Mbit/s"}
    return {
        "name": "plan_scale",
        "model": {"kind": "linear"},
        "data": {"kind": "synthetic", "examples": 20 * enrolled},
        "training": {"batch_size": 10, "local_steps": 6},
        "strategy": {"kind": "fedavg", "fraction_train": asked / enrolled},
        "fleet": [{"count": enrolled, "device": "raspberry_pi_4", "network": network}],
        "stop": {"rounds": rounds},
        "learning": "none",
    }


def measure_here(case: Case) -> dict[str, Any]:
    """Plans the case in this process: host seconds, peak memory (bytes)."""
    from fedtiny.plan import plan
    from fedtiny.scenario.schema import Scenario

    wanted = Scenario.model_validate(scenario(case))
    started = time.perf_counter()
    found = plan(wanted)
    seconds = time.perf_counter() - started
    device_rounds = case[1] * found.document["rounds"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak_memory": peak, "device_rounds": device_rounds}


def measured(words: Sequence[str]) -> dict[str, Any]:
    """What a process of its own prints."""
    done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure_all(cases: Sequence[Case], blocks: int) -> dict[str, Any]:
    """Medians over the blocks, for every case and for the floor of as much work as the largest of them."""
    largest = max(cases, key=lambda case: case[1] * case[2])
    plans: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    floors = []
    for block in range(blocks):
        floors.append(measured([str(_HERE / "simpy_floor.py"), "--cohort", str(largest[1]), "--rounds", str(largest[2])]))
        for case, found in plans.items():
            found.append(measured([__file__, "--case", *map(str, case)]))
        print(f"block {block + 1} of {blocks} done", file=sys.stderr, flush=True)
    rows = [
        {
            "enrolled": enrolled,
            "asked": asked,
            "rounds": rounds,
            "device_rounds": asked * rounds,
            "seconds": statistics.median(one["seconds"] for one in found),
            "peak_memory": max(one["peak_memory"] for one in found),
        }
        for (enrolled, asked, rounds), found in plans.items()
    ]
    ratios = [plan["seconds"] / floor["seconds"] for plan, floor in zip(plans[largest], floors, strict=True)]
    per_device_round = statistics.median(floor["seconds_per_device_round"] for floor in floors)
    return {
        "plans": rows,
        "floor_seconds_per_device_round": per_device_round,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "target": _TARGET,
        "peak_memory": max(row["peak_memory"] for row in rows),
        "largest": {"enrolled": largest[0], "asked": largest[1], "rounds": largest[2]},
    }


def draw(numbers: Mapping[str, Any]) -> None:
    """docs/figures/plan_scale.svg and .png: time against enrolled devices at a fixed cohort, and against device-rounds."""
    from fedtiny.reports.style import BLUE, INK, ORANGE, RULE, TWO_COLUMNS, new_figure, png_bytes, svg_text

    figure = new_figure(TWO_COLUMNS, 2.7)
    left, right = figure.subplots(1, 2)
    fixed = [row for row in numbers["plans"] if (row["asked"], row["rounds"]) == _POPULATIONS[0][1:]]
    floor = numbers["floor_seconds_per_device_round"]
    left.plot([row["enrolled"] for row in fixed], [row["seconds"] for row in fixed], "o-", color=BLUE)
    left.axhline(fixed[0]["device_rounds"] * floor, color=INK, linestyle="--")
    left.set(xscale="log", ylim=(0, None), xlabel="enrolled devices", ylabel="seconds")
    left.set_title(f"{fixed[0]['asked']:,} asked in each of {fixed[0]['rounds']} rounds")
    work = sorted((row for row in numbers["plans"] if row["enrolled"] == _LARGEST[0]), key=lambda row: row["device_rounds"])
    amounts = sorted({row["device_rounds"] for row in work})
    for asked, colour, marker in ((1000, BLUE, "o"), (10_000, ORANGE, "s")):
        chosen = [row for row in work if row["asked"] == asked]
        label = f"fedtiny plan, {asked:,} asked in a round"
        right.plot([row["device_rounds"] for row in chosen], [row["seconds"] for row in chosen], f"{marker}-", color=colour, label=label)
    right.plot(amounts, [amount * floor for amount in amounts], "--", color=INK, label="raw SimPy")
    right.plot(amounts, [_TARGET * amount * floor for amount in amounts], ":", color=INK, label=f"{_TARGET:g} times raw SimPy")
    right.set(xscale="log", yscale="log", xlabel="device-rounds", ylabel="seconds", title="1,000,000 enrolled devices")
    right.legend(frameon=False, fontsize=7)
    for axes in (left, right):
        axes.grid(color=RULE)
    (_FIGURES / "plan_scale.svg").write_text(svg_text(figure), encoding="utf-8")
    (_FIGURES / "plan_scale.png").write_bytes(png_bytes(figure))


def main() -> None:
    """Measures, draws and prints; with --case, measures one case in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=5, help="how often everything is measured")
    parser.add_argument("--quick", action="store_true", help="small cases, and no figure")
    parser.add_argument("--case", type=int, nargs=3, metavar=("ENROLLED", "ASKED", "ROUNDS"))
    wanted = parser.parse_args()
    if wanted.case:
        numbers = measure_here((wanted.case[0], wanted.case[1], wanted.case[2]))
    else:
        numbers = measure_all(_QUICK if wanted.quick else (*_POPULATIONS, *_WORK), wanted.blocks)
        if not wanted.quick:
            draw(numbers)
    sys.stdout.write(json.dumps(numbers) + "\n")


if __name__ == "__main__":
    main()
