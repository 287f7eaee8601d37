"""The client's half: one piece of TinyTL training a message, on the data of the device that `partition-id` names.

The frozen backbone is a file of the node; only what is trained is in messages, as one flat array. A SuperNode runs every message in a
process of its own, so all that the client remembers lies in `context.state`.
"""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

import fedtiny
from tinytl.settings import scenario_of

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answers one message of FedAvg or DGA."""
    world = fedtiny.prepare(scenario_of(context.run_config))
    return fedtiny.client_app_of(world)(message, context)
