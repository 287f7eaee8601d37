"""The legacy server: a strategy that writes what it has, made by a server_fn."""

import numpy as np
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg


class Writing(FedAvg):
    """FedAvg that keeps its last model in a file."""

    def __init__(self, path, **options):
        super().__init__(**options)
        self.path = path

    def aggregate_fit(self, server_round, results, failures):
        parameters, metrics = super().aggregate_fit(server_round, results, failures)
        assert not failures
        assert {result.metrics["round"] for _, result in results} == {server_round}
        np.savez(self.path, weights=parameters_to_ndarrays(parameters)[0])
        return parameters, metrics


def furthest(metrics):
    return {"distance": max(one["distance"] for _, one in metrics)}


def server_fn(context):
    strategy = Writing(
        context.run_config["final-model"],
        initial_parameters=ndarrays_to_parameters([np.zeros(8)]),
        on_fit_config_fn=lambda server_round: {"round": server_round},
        evaluate_metrics_aggregation_fn=furthest,
    )
    return ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=context.run_config["num-server-rounds"]))


app = ServerApp(server_fn=server_fn)
