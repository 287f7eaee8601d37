"""Logistic regression of scikit-learn, one warm-started iteration a round."""

import warnings

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from quickstart_sklearn.task import create_model, load_data, set_parameters

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    model = create_model(context.run_config["local-iterations"])
    set_parameters(model, msg.content["arrays"].to_numpy_ndarrays())
    x, _, y, _ = load_data(context.node_config["partition-id"], context.node_config["num-partitions"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y)
    arrays = ArrayRecord([np.asarray(model.coef_), np.asarray(model.intercept_)])
    return Message(RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": len(x)})}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    model = create_model(1)
    set_parameters(model, msg.content["arrays"].to_numpy_ndarrays())
    _, x, _, y = load_data(context.node_config["partition-id"], context.node_config["num-partitions"])
    found = {"num-examples": len(x), "accuracy": float(model.score(x, y))}
    found["loss"] = float(log_loss(y, model.predict_proba(x), labels=np.arange(10)))
    return Message(RecordDict({"metrics": MetricRecord(found)}), reply_to=msg)
