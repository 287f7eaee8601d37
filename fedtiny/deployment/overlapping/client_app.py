"""The thin half of a device: hands every message to the trainer beside the SuperNode and brings back what it has finished.

A SuperNode starts a process for every message, so this file and what it imports know nothing of torch. The trainer's socket is named in the
node's configuration. A trainer that is being started again is waited for, and is then asked the same once more: it knows what it has done.
"""

import socket
import time
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedtiny.deployment.overlapping.wire import ClosedEarlyError, receive, send

SOCKET = "trainer-socket"
PATIENCE = "trainer-patience"
USUAL_PATIENCE = 600.0
PAUSE = 0.2

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answers with the sum of a round, as the strategy's client half would."""
    records = message.content
    arrays = cast(ArrayRecord, records["arrays"])["trainable"].numpy() if "arrays" in records else None
    request = {"run": message.metadata.run_id, "config": dict(cast(ConfigRecord, records["config"]))}
    header, result = asked(context, request, arrays)
    if "error" in header:
        raise RuntimeError(f"the trainer says: {header['error']}")
    content = RecordDict({"metrics": MetricRecord(header["metrics"])})
    if result is not None:
        content["arrays"] = ArrayRecord({"trainable": Array(result)})
    return Message(content, reply_to=message)


def asked(context: Context, request: dict[str, object], arrays: np.ndarray | None) -> tuple[dict[str, Any], np.ndarray | None]:
    """What the trainer answers, however often it has to be asked."""
    path = str(context.node_config[SOCKET])
    end = time.monotonic() + float(context.node_config.get(PATIENCE, USUAL_PATIENCE))
    while True:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(path)
                send(connection, request, arrays)
                return receive(connection)
        except (ClosedEarlyError, ConnectionError, FileNotFoundError) as error:
            if time.monotonic() > end:
                raise RuntimeError(
                    f"no trainer answers at {path} ({error}): start fedtiny.deployment.overlapping.trainer beside this SuperNode"
                ) from error
            time.sleep(PAUSE)
