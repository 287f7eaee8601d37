"""Linear regression in NumPy: some steps of gradient descent on the node's own data."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def load_data(partition):
    generator = np.random.default_rng(partition)
    x = generator.normal(size=(40 + 10 * partition, 5))
    return x, x @ np.arange(1.0, 6.0) + 0.1 * generator.normal(size=len(x))


@app.train()
def train(msg: Message, context: Context) -> Message:
    (weights,) = msg.content["arrays"].to_numpy_ndarrays()
    x, y = load_data(context.node_config["partition-id"])
    for _ in range(context.run_config["local-steps"]):
        weights = weights - msg.content["config"]["lr"] * x.T @ (x @ weights - y) / len(x)
    rounds = context.state["rounds"]["n"] + 1 if "rounds" in context.state else 1
    context.state["rounds"] = MetricRecord({"n": rounds})
    metrics = MetricRecord({"num-examples": len(x), "rounds": rounds})
    return Message(RecordDict({"arrays": ArrayRecord([weights]), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    (weights,) = msg.content["arrays"].to_numpy_ndarrays()
    x, y = load_data(context.node_config["partition-id"])
    metrics = MetricRecord({"num-examples": len(x), "loss": float(np.mean((x @ weights - y) ** 2))})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
