"""The client's half: one piece of local training a message, on the data of the device that `partition-id` names.

A SuperNode runs every message in a process of its own, so everything is made anew from the scenario, and all that the
client remembers lies in `context.state`.
"""

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

import fedtiny
from dga_digits.settings import scenario_of

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Answers one message of the scenario's strategy."""
    world = fedtiny.prepare(scenario_of(context.run_config))
    return fedtiny.client_app_of(world)(message, context)
