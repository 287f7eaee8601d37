"""A NumPyClient made by a client_fn, as Flower's apps were before 1.21."""

import numpy as np
from flwr.client import ClientApp, NumPyClient
from flwr.client.mod import message_size_mod


class Quarter(NumPyClient):
    """Goes a quarter of the way to its own number; every value is exact in floating point, so that no order of sums matters."""

    def __init__(self, partition, state):
        self.own = np.full(8, float(4**3 * (partition + 1)))
        self.state = state

    def fit(self, parameters, config):
        weights = parameters[0] + (self.own - parameters[0]) / 4
        return [weights], 8, {"round": config["round"]}

    def evaluate(self, parameters, config):
        return float(np.abs(parameters[0] - self.own).mean()), 8, {"distance": float(np.abs(parameters[0] - self.own).max())}


def client_fn(context):
    return Quarter(context.node_config["partition-id"], context.state).to_client()


app = ClientApp(client_fn=client_fn, mods=[message_size_mod])
