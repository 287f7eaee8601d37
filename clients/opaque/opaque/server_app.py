"""The server: Flower's FedAvg; the final model is saved."""

import torch
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from opaque.task import Net

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Rounds of training and evaluation."""
    torch.manual_seed(7)
    config = context.run_config
    nodes = config["min-nodes"]
    strategy = FedAvg(min_train_nodes=nodes, min_evaluate_nodes=nodes, min_available_nodes=nodes)
    result = strategy.start(grid=grid, initial_arrays=ArrayRecord(Net().state_dict()), num_rounds=config["num-server-rounds"])
    torch.save(result.arrays.to_torch_state_dict(), config["final-model"])
