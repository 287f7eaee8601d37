"""The client: trains and tests on the node's own digits."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from opaque import task

app = ClientApp()


def _network(msg: Message) -> task.Net:
    net = task.Net()
    net.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    return net


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Local epochs from the model that the server sent."""
    net, (loader, _) = _network(msg), task.load_data(context.node_config["partition-id"], context.node_config["num-partitions"])
    loss = task.train(net, loader, context.run_config["local-epochs"], context.run_config["lr"])
    metrics = MetricRecord({"train_loss": loss, "num-examples": len(loader.dataset)})
    return Message(RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """The model on the node's own test digits."""
    _, loader = task.load_data(context.node_config["partition-id"], context.node_config["num-partitions"])
    loss, accuracy = task.test(_network(msg), loader)
    metrics = MetricRecord({"eval_loss": loss, "eval_acc": accuracy, "num-examples": len(loader.dataset)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
