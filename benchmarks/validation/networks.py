"""Networks: what simulated devices and transfers draw, against the published quantiles.

python benchmarks/validation/networks.py        prints the tables of docs/background/networks.md
"""

from collections.abc import Callable
from functools import cache
from math import exp, inf
from statistics import fmean, median, pstdev
from typing import Final

import simpy
from rows import Check, Row, Section, table

from fedtiny.fleet.catalog import load_network
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.shared_link import SharedLink
from fedtiny.units import DATA_RATE, TIME

SAMPLES: Final = 20_000
MEDIAN_TOLERANCE: Final = 0.02
SHARED_BY: Final = (1, 2, 10, 100, 1000)
THEORY_TOLERANCE: Final = 1e-9
_CAPACITY: Final = 12.5e6
_SIZE: Final = 103_936.0


@cache
def sample(network: str, quantity: str, varies: str) -> tuple[float, ...]:
    """What so many devices have of a quantity (s, bytes/s), or one device in so many transfers, ascending; drawn as a fleet draws."""
    profile = load_network(network)
    if varies == "devices":
        drawn = (profile.drawn(Streams(0).numpy("group", 0, "device", number, "network")) for number in range(SAMPLES))
        return tuple(sorted(getattr(one, quantity) for one in drawn))
    scores = Streams(0).numpy("group", 0, "device", 0, quantity, "rate").standard_normal(SAMPLES).tolist()
    return tuple(sorted(profile.in_transfer(quantity, score) for score in scores))


def quantiles() -> list[Row]:
    """Every published quantile, and what is drawn."""
    rows = []
    for row in table("networks"):
        values = sample(row["network"], row["quantity"], row["varies"])
        found = values[int(float(row["quantile"]) / 100 * len(values))] / _unit(row["unit"])
        note = f"between {row['varies']}, from {'the quantiles' if row['of'] == 'quantiles' else 'a log-normal around the median'}"
        what = f"{row['quantity']}, p{row['quantile']}"
        rows.append(Row("Networks", row["network"], what, found, float(row["value"]), row["unit"], row["source"], counted=False, note=note))
    return rows


def means() -> list[Row]:
    """Published means and deviations, which nothing was fitted to."""
    rows = []
    for row in table("network_means"):
        values = sample(row["network"], row["quantity"], row["varies"])
        found = fmean(values) / _unit(row["unit"]) if row["statistic"] == "mean" else pstdev(values) / fmean(values)
        note = f"between {row['varies']}"
        what = f"{row['quantity']}, {row['statistic']}"
        counted = row["statistic"] == "mean"
        rows.append(
            Row("Networks", row["network"], what, found, float(row["value"]), row["unit"], row["source"], counted=counted, note=note)
        )
    return rows


def distributions() -> Section:
    """Latencies and rates of devices and transfers."""
    rows = [*quantiles(), *means()]
    worst = max(abs(row.error) for row in rows if row.what.endswith("p50"))
    return Section(
        "Networks",
        f"Draws of {SAMPLES} devices, or of one device in as many transfers, against the published quantiles that they are drawn from; "
        "means were not used, and are predictions.",
        rows,
        [
            Check("the median of every simulated network is the published one (largest error)", worst, 0.0, MEDIAN_TOLERANCE),
            Check("n equal transfers on a shared link end after n times one (largest error)", shared_link_error(), 0.0, THEORY_TOLERANCE),
        ],
    )


def shared_link_error() -> float:
    """The largest relative error of when equal transfers that begin together end on a link that they share: processor sharing says n times
    the time of one, all at once."""
    return max(abs(end / (count * _SIZE / _CAPACITY) - 1) for count in SHARED_BY for end in _ends(count))


def _ends(count: int) -> list[float]:
    environment = simpy.Environment()
    link, ends = SharedLink(agenda_of(environment), _CAPACITY), list[float]()
    note: tuple[Callable[[object], None]] = (lambda _: ends.append(environment.now),)
    for number in range(count):
        link.begin(_SIZE, inf, number, note)
    environment.run()
    return ends


def disagreements() -> list[tuple[str, str, float, float, str]]:
    """(network, quantity, median of the published log-normal, published median, unit) of every published fit."""
    return [(row["network"], row["quantity"], exp(float(row["mu"])), float(row["median"]), row["unit"]) for row in table("log_normals")]


def _unit(unit: str) -> float:
    return {**TIME, **DATA_RATE, "": 1.0}[unit]


def main() -> None:
    """Prints both tables."""
    section = distributions()
    print("| network | quantity | published | drawn | error | how |\n|---|---|---|---|---|---|")
    for row in section.rows:
        numbers = f"{row.measured:g} {row.unit} | {row.predicted:.4g} {row.unit}".replace(" |", " |")
        print(f"| {row.device} | {row.what} | {numbers} | {100 * row.error:+.1f} % | {row.note} |")
    print("\n| network | quantity | median of the published log-normal | published median | difference |\n|---|---|---|---|---|")
    for network, quantity, fitted, published, unit in disagreements():
        print(f"| {network} | {quantity} | {fitted:.4g} {unit} | {published:g} {unit} | {100 * (fitted / published - 1):+.0f} % |")
    print(f"\nLargest error of a median: {100 * section.checks[0].found:.2f} %; median error of all: ", end="")
    print(f"{100 * median(abs(row.error) for row in section.rows):.2f} %")


if __name__ == "__main__":
    main()
