"""The server of a secure sum: four stages with message types of their own; it learns the sum of those who stayed and nothing else."""

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()
MODULUS = 2**32


def stage(grid, nodes, name, content):
    replies = list(grid.send_and_receive([Message(content, node, name, group_id="secure-sum") for node in nodes], timeout=600))
    return [reply for reply in replies if not reply.has_error()]


@app.main()
def main(grid: Grid, context: Context) -> None:
    size, nodes = context.run_config["size"], list(grid.get_node_ids())
    keys = sorted((reply.content["key"]["me"], reply.content["key"]["public"]) for reply in stage(grid, nodes, "query.setup", RecordDict()))
    shared = ConfigRecord({"who": [me for me, _ in keys], "public": [public for _, public in keys]})
    stage(grid, nodes, "query.share_keys", RecordDict({"keys": shared}))
    fail = [int(number) for number in context.run_config["fail"].split()]
    uploads = stage(grid, nodes, "train.masked_upload", RecordDict({"config": ConfigRecord({"size": size, "fail": fail})}))
    there = sorted(reply.content["who"]["me"] for reply in uploads)
    total = np.zeros(size, dtype=np.uint64)
    for reply in uploads:
        total = (total + reply.content["arrays"].to_numpy_ndarrays()[0]) % MODULUS
    gone = [me for me, _ in keys if me not in there]
    alive = [reply.metadata.src_node_id for reply in uploads]
    for reply in stage(grid, alive, "query.unmask", RecordDict({"gone": ConfigRecord({"who": gone})})):
        told = reply.content["seeds"]
        for who, seed in zip(told["who"], told["seed"], strict=True):
            left = np.random.default_rng(seed).integers(0, MODULUS, size=size, dtype=np.uint64)
            total = (total - left if who > told["me"] else total + left) % MODULUS
    np.savez(context.run_config["final-model"], total, np.array(there))
