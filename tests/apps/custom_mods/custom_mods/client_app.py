"""Mods around a ClientApp: of the app (counts messages in the node's state) and of one action (clips and blurs what leaves the node)."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import arrays_size_mod, message_size_mod


def counting_mod(msg, context, call_next):
    seen = context.state["seen"]["n"] if "seen" in context.state else 0
    context.state["seen"] = MetricRecord({"n": seen + 1})
    reply = call_next(msg, context)
    reply.content["mod"] = MetricRecord({"messages": seen + 1})
    return reply


def clip_and_blur(msg, context, call_next):
    reply = call_next(msg, context)
    generator = np.random.default_rng([context.node_config["partition-id"], context.state["seen"]["n"]])
    before = msg.content["arrays"].to_numpy_ndarrays()
    after = []
    for old, new in zip(before, reply.content["arrays"].to_numpy_ndarrays(), strict=True):
        change = new - old
        change *= min(1.0, context.run_config["clipping-norm"] / np.linalg.norm(change))
        after.append(old + change + context.run_config["noise"] * generator.normal(size=old.shape))
    reply.content["arrays"] = ArrayRecord(after)
    return reply


app = ClientApp(mods=[message_size_mod, arrays_size_mod, counting_mod])


@app.train(mods=[clip_and_blur])
def train(msg: Message, context: Context) -> Message:
    (weights,) = msg.content["arrays"].to_numpy_ndarrays()
    target = np.full(4, 1.0 + context.node_config["partition-id"])
    reply = RecordDict({"arrays": ArrayRecord([weights + 0.5 * (target - weights)]), "metrics": MetricRecord({"num-examples": 10})})
    return Message(reply, reply_to=msg)


@app.query("history")
def history(msg: Message, context: Context) -> Message:
    return Message(RecordDict({"seen": MetricRecord({"n": context.state["seen"]["n"]})}), reply_to=msg)
