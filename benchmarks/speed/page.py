"""docs/benchmarks.md and its figures, from docs/figures/benchmarks.json. The prose around the marked part is by hand."""

import json
import statistics
from pathlib import Path
from typing import Any, Final

from figures import memory_figure, save, speed_figure
from verdicts import BARE, BATCH, FEDTINY, FLOWER, ONE_BY_ONE, OPTIMIZER, PFL, Claim, claims
from workloads import WORKLOADS

from fedtiny.reports.style import paper

DOCS: Final = Path(__file__).parents[2] / "docs"
NUMBERS: Final = DOCS / "figures" / "benchmarks.json"
_PAGE: Final = DOCS / "benchmarks.md"
_BEGIN, _END = "<!-- measured: begin (written by make bench) -->", "<!-- measured: end -->"
_ORDER: Final = (FEDTINY, BARE, OPTIMIZER, BATCH, ONE_BY_ONE, PFL, FLOWER)


def write_page(numbers: dict[str, Any]) -> None:
    """Puts the tables between the page's two marks, and draws both figures."""
    text = _PAGE.read_text(encoding="utf-8")
    before, rest = text.split(_BEGIN)
    after = rest.split(_END)[1]
    _PAGE.write_text(f"{before}{_BEGIN}\n\n{measured_part(numbers)}\n{_END}{after}", encoding="utf-8")
    draw(numbers)


def measured_part(numbers: dict[str, Any]) -> str:
    """Machine, targets, seconds and the single numbers, as Markdown."""
    parts = [machine_line(numbers["machine"]), "### What was wanted, and what is", claims_table(all_claims(numbers))]
    parts += ["### Seconds per round", seconds_table(numbers["workloads"]), same_work_line(numbers["workloads"])]
    if workers := numbers["single"].get("worker_processes"):
        parts += ["### A run on two processes", workers_table(workers)]
    return "\n\n".join(parts) + "\n"


def machine_line(machine: dict[str, str]) -> str:
    """The machine in one line."""
    return "Measured on: " + ", ".join(f"{key} {value}" for key, value in machine.items()) + "; one thread each."


def all_claims(numbers: dict[str, Any]) -> list[Claim]:
    """Those of the workloads, then those of the single scripts."""
    blocks = {name: entry["blocks"] for name, entry in numbers["workloads"].items()}
    found = claims(blocks, {name: WORKLOADS[name].cohort for name in blocks})
    single = numbers["single"]
    if message := single.get("message_cost"):
        found.append(Claim("a message in process, push to reply", message["message_median"] * 1e6, message["target"] * 1e6, False, "µs"))
    if cold := single.get("cold_start"):
        found.append(Claim("first trained round over importing torch and flwr", cold["ratio"], cold["target"], False))
    if sweep := single.get("latency_sweep"):
        found.append(Claim(f"latency sweep of {sweep['points']} points over one run", sweep["ratio"], sweep["target"], False))
    if memory := single.get("run_memory"):
        peaks = [point["peak"] for point in memory if point["clients"] == max(other["clients"] for other in memory)]
        found.append(Claim("peak memory of 1,000 rounds over that of 10, 10,000 clients", peaks[-1] / peaks[0], 1.1, False))
    if plan := single.get("plan_scale"):
        found.append(Claim("plan of 10^6 device-rounds over raw SimPy", plan["ratio"], plan["target"], False))
        found.append(Claim("memory of that plan", plan["peak_memory"] / 1e6, 1000, False, "MB"))
    return found


def claims_table(found: list[Claim]) -> str:
    """One row for each claim."""
    return "\n".join(["| what | measured | wanted | |", "|---|---|---|---|", *(claim.row for claim in found)])


def seconds_table(workloads: dict[str, Any]) -> str:
    """One row for each runner of each workload: median, minimum and how it stands to the bare loop."""
    rows = ["| workload | runner | median | minimum | blocks | speed over the bare loop | idle before |", "|---|---|---|---|---|---|---|"]
    for name, entry in workloads.items():
        blocks = entry["blocks"]
        for runner in (runner for runner in _ORDER if runner in blocks):
            seconds, times = blocks[runner], statistics.median(blocks[BARE]) / statistics.median(blocks[runner])
            rows.append(
                f"| {name}: {WORKLOADS[name].title} | {runner} | {shown(statistics.median(seconds))} | {shown(min(seconds))} "
                f"| {len(seconds)} x {WORKLOADS[name].rounds_per_block} | {times:.2f} x | {entry['idle']:.0%} |"
            )
    return "\n".join(rows)


def workers_table(measured: list[dict[str, Any]]) -> str:
    """One row for each workload and size of packages."""
    rows = ["| workload | clients of a package | one process | `--workers 2` | times as fast |", "|---|---|---|---|---|"]
    for each in measured:
        times = f"{each['one'] / each['two']:.2f} x"
        rows.append(
            f"| {each['name']}: {WORKLOADS[each['name']].title} | {each['clients']} of {WORKLOADS[each['name']].cohort} "
            f"| {shown(each['one'])} | {shown(each['two'])} | {times} |"
        )
    return "\n".join(rows)


def same_work_line(workloads: dict[str, Any]) -> str:
    """How far FedTiny and the bare loop ended apart."""
    found = ", ".join(f"{name} {entry['same']['difference']:.1g}" for name, entry in workloads.items())
    return f"Largest difference of a weight between FedTiny and the bare loop after a round (float64): {found}."


def shown(seconds: float) -> str:
    """Seconds with a unit that suits them."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def draw(numbers: dict[str, Any]) -> None:
    """Speed over the bare loop, one row for each workload; and peak memory of runs."""
    with paper():
        if numbers["workloads"]:
            save(speed_figure(numbers["workloads"]), DOCS / "figures" / "benchmarks")
        if memory := numbers["single"].get("run_memory"):
            save(memory_figure(memory), DOCS / "figures" / "run_memory")


def main() -> None:
    """Writes the page again from the numbers that are there."""
    write_page(json.loads(NUMBERS.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
