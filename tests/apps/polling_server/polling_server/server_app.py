"""A server loop on push and pull, which sleeps between two looks and gives up at a deadline by the clock."""

import time
from time import sleep

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    config = context.run_config
    while len(list(grid.get_node_ids())) < config["min-nodes"]:
        sleep(config["interval"])
    weights = np.zeros(3)
    for server_round in range(1, config["num-server-rounds"] + 1):
        content = RecordDict({"arrays": ArrayRecord([weights])})
        waiting = set(grid.push_messages([Message(content, node, "train", group_id=str(server_round)) for node in grid.get_node_ids()]))
        deadline, results = time.time() + config["patience"], {}
        while waiting and time.time() < deadline:
            for reply in grid.pull_messages(list(waiting)):
                waiting.remove(reply.metadata.reply_to_message_id)
                if reply.has_content():
                    results[reply.content["metrics"]["partition"]] = reply.content["arrays"].to_numpy_ndarrays()[0]
            time.sleep(config["interval"])
        weights = np.mean([results[partition] for partition in sorted(results)], axis=0)
    np.savez(config["final-model"], weights)
