"""Runs Flower's simulation on Ray on one workload in turns: `python run_flower.py NAME FOLDER WARM_UP ROUNDS`, in the peers' environment.

Flower's own FedAvg, a ClientApp as its documentation writes it, one CPU for each client: on two cores Ray trains two clients at once.
FOLDER holds inputs.npy (clients, examples, ...) and targets.npy, which every actor maps into its memory once.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

# Ray's workers find flower_client by it
os.environ["PYTHONPATH"] = str(Path(__file__).parent)

from flower_client import client_app, examples
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from gate import BenchmarkOver, Gate, say
from networks import SHOWN, loss_on, peer_network
from workloads import WORKLOADS

_MANY = 10**6


def loss_of(name: str, folder: str, arrays: ArrayRecord) -> float:
    """The loss of a model on the first clients' examples."""
    network = peer_network(name)
    network.load_state_dict(arrays.to_torch_state_dict())
    inputs, targets = (part[:SHOWN] for part in examples(folder))
    return loss_on(network, inputs, targets)


def main() -> None:
    """Rounds until nobody wants more."""
    name, folder, warm_up, rounds = sys.argv[1:]
    workload, gate = WORKLOADS[name], Gate(int(warm_up), int(rounds))
    server, made = ServerApp(), list[ArrayRecord]()

    @server.main()
    def serve(grid: Grid, context: Context) -> None:
        strategy = FedAvg(
            fraction_train=workload.cohort / workload.population, fraction_evaluate=0.0, min_available_nodes=workload.population
        )

        def done(server_round: int, arrays: ArrayRecord) -> None:
            made[:] = [*made[:1], arrays]
            if server_round:
                gate.round_done()

        initial = ArrayRecord(peer_network(name).state_dict())
        with suppress(BenchmarkOver):
            strategy.start(grid=grid, initial_arrays=initial, num_rounds=_MANY, evaluate_fn=done)
        first, last = (loss_of(name, folder, arrays) for arrays in made)
        say(first_loss=first, last_loss=last)

    run_simulation(
        server_app=server,
        client_app=client_app(name, folder),
        num_supernodes=workload.population,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            # a cluster of its own: left out, Ray joins one that happens to run on this machine, of whatever version, and waits for ever
            "init_args": {"address": "local", "log_to_driver": False, "include_dashboard": False},
        },
    )


if __name__ == "__main__":
    main()
