"""FedAvg by hand, then a question to every node about how many messages it has seen."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    weights = np.zeros(4)
    for _ in range(context.run_config["num-server-rounds"]):
        content = RecordDict({"arrays": ArrayRecord([weights])})
        replies = list(grid.send_and_receive([Message(content, node, "train") for node in grid.get_node_ids()]))
        weights = np.mean([reply.content["arrays"].to_numpy_ndarrays()[0] for reply in replies], axis=0)
    answers = grid.send_and_receive([Message(RecordDict(), node, "query.history") for node in grid.get_node_ids()])
    seen = np.array([answer.content["seen"]["n"] for answer in answers])
    np.savez(context.run_config["final-model"], weights, seen)
