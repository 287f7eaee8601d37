"""FedAvg over the coefficients."""

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    result = FedAvg().start(
        grid=grid, initial_arrays=ArrayRecord([np.zeros((10, 64)), np.zeros(10)]), num_rounds=context.run_config["num-server-rounds"]
    )
    np.savez(context.run_config["final-model"], *result.arrays.to_numpy_ndarrays())
