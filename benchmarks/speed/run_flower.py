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

from flower_client import client_app
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from gate import BenchmarkOver, Gate
from networks import peer_network
from workloads import WORKLOADS

_MANY = 10**6


def main() -> None:
    """Rounds until nobody wants more."""
    name, folder, warm_up, rounds = sys.argv[1:]
    workload, gate = WORKLOADS[name], Gate(int(warm_up), int(rounds))
    server = ServerApp()

    @server.main()
    def serve(grid: Grid, context: Context) -> None:
        strategy = FedAvg(
            fraction_train=workload.cohort / workload.population, fraction_evaluate=0.0, min_available_nodes=workload.population
        )

        def done(server_round: int, arrays: ArrayRecord) -> None:
            if server_round:
                gate.round_done()

        initial = ArrayRecord(peer_network(name).state_dict())
        with suppress(BenchmarkOver):
            strategy.start(grid=grid, initial_arrays=initial, num_rounds=_MANY, evaluate_fn=done)

    run_simulation(
        server_app=server,
        client_app=client_app(name, folder),
        num_supernodes=workload.population,
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"log_to_driver": False, "include_dashboard": False},
        },
    )


if __name__ == "__main__":
    main()
