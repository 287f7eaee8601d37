"""Whether worker processes pay: `python worker_processes.py [NAME ...]`, without words b-full, b-bias and c.

A round with one process against one with two workers, with packages as the rule cuts them and with packages of half a cohort, in turns.
"""

import statistics
import sys

from gate import say
from turns import in_turns, script
from workloads import WORKLOADS

NAMES = ("b-full", "b-bias", "c")
_BLOCKS = 5
_WARM_UP = 1
_ROUNDS = {"b-bias": 2}


def commands(name: str) -> dict[str, list[str]]:
    """Who takes part: workers and clients of a package, 0 for what the rule chooses."""
    half = WORKLOADS[name].cohort // 2
    return {
        f"{workers} {clients}": [
            *(sys.executable, script("run_workers.py"), name),
            *(str(number) for number in (workers, clients, _WARM_UP, _ROUNDS.get(name, 1))),
        ]
        for clients in (0, half)
        for workers in (1, 2)
    }


def main() -> None:
    """Prints, for every workload and size of packages, seconds of a round with one process and with two."""
    for name in sys.argv[1:] or NAMES:
        runners = in_turns(commands(name), _BLOCKS)
        pairs = [(runners[f"1 {clients}"], runners[f"2 {clients}"]) for clients in (0, WORKLOADS[name].cohort // 2)]
        for clients, (one, two) in {one.facts["clients"]: (one, two) for one, two in pairs}.items():  # the rule may choose the half
            say(name=name, clients=clients, one=statistics.median(one.seconds), two=statistics.median(two.seconds))


if __name__ == "__main__":
    main()
