"""Apps on two Grids: FedTiny's virtual one, and Flower's own InMemoryGrid over its own LinkState.

Flower's simulation runs on Ray, which is not installed here. What it puts between Grid and ClientApp besides Ray is its in-memory
LinkState; here the ClientApps are called as its workers do, in this process, whenever the Grid is read.
"""

import copy
import importlib
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from uuid import uuid4

import pytest
from flwr.app import Context, Error, Message, RecordDict
from flwr.proto.task_pb2 import Task
from flwr.supercore.constant import NOOP_FEDERATION_ID
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid import InMemoryGrid

from fedtiny.apps.run import run_app
from fedtiny.scenario.app_files import to_app_scenario
from fedtiny.scenario.tree import Tree, parse_tree

vce = importlib.import_module("flwr.server.superlink.fleet.vce.vce_api")
linkstate = importlib.import_module("flwr.server.superlink.linkstate")
records = importlib.import_module("flwr.server.superlink.linkstate.in_memory_linkstate")

RUN_ID, TASK_ID = 77, 5


class FlowerGrid(InMemoryGrid):
    """Flower's own, whose nodes work whenever it is read; replies come in the order of partitions, which Flower leaves to chance."""

    def __init__(self, client_app, nodes, run_config):
        factory = linkstate.LinkStateFactory(":flwr-in-memory:", NoOpFederationManager(), ObjectStoreFactory())
        InMemoryGrid.__init__(self, factory, pull_interval=0.0)
        run = Run.create_empty(RUN_ID)
        run.primary_task_id, run.federation_id = TASK_ID, NOOP_FEDERATION_ID
        self.state.run_ids[RUN_ID] = records.RunRecord(run=run)
        self.state.task_store[TASK_ID] = Task(task_id=TASK_ID, run_id=RUN_ID)
        self.set_run(run)
        self.app, self.delays = client_app, {}
        self.partitions = vce._register_nodes(num_nodes=nodes, state_factory=factory)
        self.contexts = {
            node: Context(RUN_ID, node, {"partition-id": partition, "num-partitions": nodes}, RecordDict(), dict(run_config))
            for node, partition in self.partitions.items()
        }

    def get_node_ids(self):
        return sorted(InMemoryGrid.get_node_ids(self), key=self.partitions.get)

    def pull_messages(self, message_ids):
        for node in self.partitions:
            self._work(node)
        return sorted(InMemoryGrid.pull_messages(self, message_ids), key=lambda reply: self.partitions.get(reply.metadata.src_node_id, -1))

    def _work(self, node):
        for message in self.state.get_message_ins(node_id=node, limit=1):
            context = copy.deepcopy(self.contexts[node])
            instruction = copy.deepcopy(message)
            try:
                reply = self.app(instruction, context)
            except Exception as error:  # noqa: BLE001
                reply = Message(Error(code=2, reason=f"{type(error)}:<'{error}'>"), reply_to=message)
            self.contexts[node] = copy.deepcopy(context)
            reply = copy.deepcopy(reply)
            reply.metadata.__dict__["_message_id"] = str(uuid4())
            self.state.store_message_res(reply)


@contextmanager
def flower_identity():
    before = (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id)
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = RUN_ID, 1, TASK_ID
    try:
        yield
    finally:
        TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = before


def on_flower(server_app, client_app, *, nodes, run_config=None):
    """Runs an app on Flower's own grid."""
    with flower_identity():
        grid = FlowerGrid(client_app, nodes, run_config or {})
        server_app(grid, Context(RUN_ID, 1, {}, RecordDict(), dict(run_config or {})))


def scenario_of(text, folder):
    tree = parse_tree(text, "fleet.yaml")
    return to_app_scenario(Tree(tree.plain, tree.sources), folder)


FLEET = """
name: apps
fleet: [{count: COUNT, device: raspberry_pi_4, network: {kind: custom, latency: 100 ms, downlink: 8 Mbit/s, uplink: 4 Mbit/s}}]
app: {work: {train: {seconds: 2 s}, evaluate: {seconds: 1 s}, query: {seconds: 0 s}}}
"""


@pytest.fixture
def fleet(tmp_path):
    """A scenario of so many alike devices, whose undeclared work takes 2 s; `more` are lines of YAML."""

    def make(count=3, more=""):
        return scenario_of(FLEET.replace("COUNT", str(count)) + more, tmp_path)

    return make


@pytest.fixture
def scenario(tmp_path):
    return lambda text: scenario_of(text, tmp_path)


@dataclass
class World:
    """One of the two Grids: `run(main, client_app)` runs a server's main on it."""

    name: str
    run: Callable[..., object]
    results: list = field(default_factory=list)


@pytest.fixture(params=["virtual", "flower"])
def world(request, fleet):
    """The same test on both Grids."""

    def run(main, client_app, nodes=3, run_config=None, more=""):
        if request.param == "flower":
            return on_flower(main, client_app, nodes=nodes, run_config=run_config)
        return run_app(main, client_app, fleet(nodes, more), run_config=run_config)

    return World(request.param, run)


@pytest.fixture
def apps():
    return SimpleNamespace(on_flower=on_flower, run_app=run_app, sleep=time.sleep)
