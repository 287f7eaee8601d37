"""A client of a server that polls: least squares on the node's own data."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    (weights,) = msg.content["arrays"].to_numpy_ndarrays()
    generator = np.random.default_rng(100 + context.node_config["partition-id"])
    x = generator.normal(size=(30, 3))
    step = x.T @ (x @ weights - x @ np.array([2.0, -1.0, 0.5])) / len(x)
    metrics = MetricRecord({"num-examples": 30, "partition": context.node_config["partition-id"]})
    return Message(RecordDict({"arrays": ArrayRecord([weights - 0.3 * step]), "metrics": metrics}), reply_to=msg)
