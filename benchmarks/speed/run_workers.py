"""Runs FedTiny on one workload with worker processes in turns: `python run_workers.py NAME WORKERS CLIENTS WARM_UP ROUNDS`.

WORKERS 1 is one process, as everybody starts; CLIENTS is how many make a package, 0 for what the rule chooses.
"""

import sys
from contextlib import suppress
from typing import Any

import torch
from gate import BenchmarkOver, Gate, say
from run_fedtiny import loaded
from workloads import WORKLOADS, scenario

from fedtiny import experiment
from fedtiny.preparation import prepare
from fedtiny.sweeps.ways import way_of_training
from fedtiny.training.cohort_rules import Cohort

_MANY = 10**6


def main() -> None:
    """Rounds until nobody wants more."""
    name, workers, clients, warm_up, rounds = sys.argv[1:]
    torch.set_num_threads(1)
    content = scenario(WORKLOADS[name], _MANY)
    chosen = prepare(loaded(content), allow_code=True).cohort
    if int(clients):
        chosen = Cohort(execution=chosen.execution, clients=int(clients))
    content["training"]["cohort"] = chosen.to_plain()
    say(clients=chosen.clients)
    gate = Gate(int(warm_up), int(rounds))

    def progress(state: Any) -> None:
        if state.phase == "rounds" and state.done > 0:
            gate.round_done()

    training = way_of_training(int(workers), None, None, allow_code=True)
    with suppress(BenchmarkOver):
        experiment.run(loaded(content), progress=progress, allow_code=True, training=training)


if __name__ == "__main__":
    main()
