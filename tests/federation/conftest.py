"""A virtual grid with as many devices as a test wants, each with its own latency, and an ordinary client app."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import simpy
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedtiny.federation.flower_internals import server_identity
from fedtiny.federation.grid import FIRST_NODE_ID, VirtualTimeGrid, node_context
from fedtiny.federation.immediate_clients import Effort, ImmediateClients
from fedtiny.federation.task import Node
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.simulation.device import SimulatedDevice
from fedtiny.simulation.trace import Trace


def adding_app() -> ClientApp:
    """An ordinary ClientApp: adds 1 + partition id to every array and counts its calls in its context."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        calls = context.state.config_records.get("calls", ConfigRecord({"count": 0}))
        context.state["calls"] = ConfigRecord({"count": calls["count"] + 1})
        if "fail" in message.content.config_records.get("config", ConfigRecord()):
            raise ZeroDivisionError("division by zero")
        added = 1 + int(context.node_config["partition-id"])
        arrays = message.content.array_records.get("arrays", ArrayRecord({"w": Array(np.zeros(2))}))
        moved = ArrayRecord({key: Array(array.numpy() + added) for key, array in arrays.items()})
        metrics = MetricRecord({"num-examples": added, "calls": calls["count"] + 1})
        return Message(RecordDict({"arrays": moved, "metrics": metrics}), reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return Message(RecordDict({"metrics": MetricRecord({"num-examples": 1, "accuracy": 0.5})}), reply_to=message)

    return app


def grid_of(
    latencies: Sequence[float] = (1.0,),
    *,
    app: Callable[[Message, Context], Message] | None = None,
    seconds: float = 0.0,
    network: dict[str, Any] | None = None,
    raise_errors: bool = False,
    **options: Any,
) -> VirtualTimeGrid:
    environment, trace, nodes = simpy.Environment(), Trace(), {}
    device = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()
    for number, latency in enumerate(latencies):
        link = CustomNetwork.model_validate({"kind": "custom", "latency": f"{latency} s", **(network or {})}).profile()
        traits = Traits(number, 0, number, "group", device, link)
        context = node_context(FIRST_NODE_ID + number, number, len(latencies))
        nodes[FIRST_NODE_ID + number] = Node(SimulatedDevice(environment, traits, Streams(0), trace), context)
    return VirtualTimeGrid(
        environment=environment,
        nodes=nodes,
        clients=ImmediateClients(app or adding_app(), lambda message, context: Effort(seconds, 0.0), raise_errors),
        trace=trace,
        **options,
    )


@pytest.fixture(name="grid_of")
def make_grid() -> Callable[..., VirtualTimeGrid]:
    """Makes a grid: one node for each one-way latency (s), the first with id 2."""
    return grid_of


@pytest.fixture(autouse=True)
def identity() -> Iterator[None]:
    """What a server app has when it runs."""
    with server_identity():
        yield


@pytest.fixture
def train() -> Callable[..., Message]:
    """Makes a train message for a node; keywords go into its configuration."""

    def make(node_id: int, **config: Any) -> Message:
        arrays = ArrayRecord({"w": Array(np.zeros(2))})
        return Message(RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": 1, **config})}), node_id, "train")

    return make
