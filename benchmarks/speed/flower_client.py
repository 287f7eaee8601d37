"""The ClientApp of the Flower benchmark, as its documentation writes one. A module of its own, since Ray's workers import it."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from networks import peer_network
from torch import Tensor, nn
from workloads import WORKLOADS


@cache
def examples(folder: str) -> tuple[Tensor, Tensor]:
    """All clients' inputs and targets."""
    inputs, targets = (np.load(Path(folder) / f"{part}.npy", mmap_mode="c") for part in ("inputs", "targets"))
    return torch.from_numpy(inputs), torch.from_numpy(targets)


def client_app(name: str, folder: str) -> ClientApp:
    """Trains one epoch from the global weights and sends its own."""
    app, workload = ClientApp(), WORKLOADS[name]

    @app.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        network = peer_network(name)
        network.load_state_dict(message.content["arrays"].to_torch_state_dict())
        optimizer = torch.optim.SGD(network.parameters(), lr=workload.learning_rate)
        client = int(context.node_config["partition-id"])
        inputs, targets = (part[client] for part in examples(folder))
        order = torch.randperm(len(targets))
        for chosen in order.split(workload.batch_size):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs[chosen]), targets[chosen])
            loss.backward()
            optimizer.step()
        metrics = MetricRecord({"train_loss": float(loss.detach()), "num-examples": len(targets)})
        return Message(content=RecordDict({"arrays": ArrayRecord(network.state_dict()), "metrics": metrics}), reply_to=message)

    return app
