"""The floor of virtual time: raw SimPy with one process, three timeouts and one processor request per device-round.

Rounds follow each other; in each, a cohort of devices downloads, waits for its processor, trains and uploads, and nothing is
recorded, priced or decided. No simulator on SimPy processes can be faster per device-round, so `fedtiny plan` is held against
it (docs/benchmarks.md). Prints host seconds and the peak memory of this process.

    python benchmarks/simpy_floor.py --cohort 10000 --rounds 100
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Generator

import simpy


def device_round(environment: simpy.Environment, processor: simpy.Resource) -> Generator[simpy.Event, None, None]:
    """What one device does in one round: download, train when its processor is free, upload."""
    yield environment.timeout(0.5)
    with processor.request() as turn:
        yield turn
        yield environment.timeout(1.0)
    yield environment.timeout(0.25)


def simulate(cohort: int, rounds: int) -> float:
    """Host seconds of `rounds` rounds with a cohort of so many devices."""
    started = time.perf_counter()
    environment = simpy.Environment()
    for _ in range(rounds):
        for _ in range(cohort):
            environment.process(device_round(environment, simpy.Resource(environment, capacity=1)))
        environment.run()
    return time.perf_counter() - started


def main() -> None:
    """Prints {cohort, rounds, seconds, seconds_per_device_round, peak_memory (bytes)} as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cohort", type=int, default=10_000, help="devices of a round")
    parser.add_argument("--rounds", type=int, default=100)
    asked = parser.parse_args()
    seconds = simulate(asked.cohort, asked.rounds)
    figures = {
        "cohort": asked.cohort,
        "rounds": asked.rounds,
        "seconds": round(seconds, 3),
        "seconds_per_device_round": seconds / (asked.cohort * asked.rounds),
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
