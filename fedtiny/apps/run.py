"""`run_app`: any Flower ServerApp and ClientApp, unmodified, in virtual time on the fleet of a scenario.

The server app runs in the calling thread, on a Grid whose waiting is virtual and by a clock that is virtual too; client apps are executed
when the processors of their devices turn to them. Both are the app's own code: nothing of it is changed or replaced.
"""

import platform
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any, Final, cast

import simpy
from flwr.app import Context, RecordDict, UserConfig
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedtiny.apps.app_grid import AppGrid
from fedtiny.apps.app_result import AppHistory, app_result
from fedtiny.apps.app_rounds import AppRounds
from fedtiny.apps.foreign_clients import ForeignClients, RunFails
from fedtiny.apps.isolation import own_randomness
from fedtiny.apps.legacy_rounds import legacy_rounds
from fedtiny.apps.server_clock import ServerClock
from fedtiny.battery_drain import drains
from fedtiny.errors import ScenarioError
from fedtiny.federation.flower_internals import RUN_ID, SERVER_NODE_ID, dated, server_identity
from fedtiny.federation.grid import FIRST_NODE_ID, HorizonReached, VirtualTimeGrid
from fedtiny.federation.nodes import NodesWhenAsked, node_context
from fedtiny.federation.records import isolated, message_bytes, payload_bytes
from fedtiny.federation.task import Node
from fedtiny.federation.weighed import Weighed
from fedtiny.fleet.enrolled import devices_of
from fedtiny.progress import Progress, Report
from fedtiny.randomness import Streams
from fedtiny.recording import Version
from fedtiny.results.record import RunResult
from fedtiny.scenario.app_files import load_app_scenario
from fedtiny.scenario.app_schema import AppScenario
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.connection import place_server
from fedtiny.simulation.device import SimulatedDevice
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import Trace

_PACKAGES: Final = ("fedtiny", "flwr", "numpy", "pyarrow", "simpy", "torch")


def run_app(
    server_app: ServerApp,
    client_app: ClientApp,
    scenario: AppScenario | Scenario | str | Path,
    *,
    run_config: Mapping[str, Any] | None = None,
    progress: Report | None = None,
) -> RunResult:
    """Runs a Flower app on the fleet of a scenario, in virtual time, until its server app ends or `stop.virtual_time` is over.

    `scenario` names a fleet and nothing that trains on it (docs/guides/flower_apps.md), or is the path of such a file; `run_config` is
    what both apps find in their contexts. Exceptions of the server app go on to the caller; those of client apps become error replies, as
    with Flower. Raises ScenarioError where the scenario is one of FedTiny's own training.
    """
    started = time.time()
    history = _history(_for_apps(scenario))
    grid, clients, clock = _prepared(history, client_app, dict(run_config or {}), progress)
    context = Context(RUN_ID, SERVER_NODE_ID, {}, RecordDict(), dict(run_config or {}))
    with _surroundings(history.streams, clock):
        try:
            with suppress(HorizonReached), legacy_rounds(grid.meet):
                server_app(grid, context)
        except RunFails as failed:
            raise failed.error from None
    grid.rounds.close()
    history.seen, history.last_arrays, history.threads = clients.seen, grid.last_arrays, len(grid.threads)
    _end(history, grid.grid)
    result = app_result(history)
    result.provenance.update(_provenance(history.scenario, started))
    return result


def _for_apps(scenario: AppScenario | Scenario | str | Path) -> AppScenario:
    if isinstance(scenario, str | Path):
        return load_app_scenario(scenario)
    if isinstance(scenario, AppScenario):
        return scenario
    raise ScenarioError(
        "this scenario is one of FedTiny's own training, and an app brings its own network, data and strategy: leave out model, data, "
        "training, update, strategy and evaluation, or use fedtiny.run"
    )


def _history(scenario: AppScenario) -> AppHistory:
    streams = Streams(scenario.seed)
    return AppHistory(scenario, streams, devices_of(scenario.fleet, scenario.device, scenario.network, streams), Trace())


def _prepared(
    history: AppHistory, app: ClientApp, run_config: UserConfig, progress: Report | None
) -> tuple[AppGrid, ForeignClients, ServerClock]:
    clock = ServerClock(lambda: grid.now, lambda seconds: grid.sleep(seconds))
    clients = ForeignClients(app, history.scenario, history.streams, clock.paused)
    inner = _virtual_grid(history, clients, run_config)

    def on_version(version: Version) -> None:
        history.versions.append(version)
        if progress is not None:
            accuracy = version.quality.accuracy if version.quality else None
            stop = history.scenario.stop
            until = None if stop is None else stop.virtual_time
            progress(Progress("rounds", version.round, None, version.virtual_time, accuracy, until, None, version))

    rounds = AppRounds(inner, on_version)
    grid = AppGrid(inner, rounds)
    inner.weigh = lambda content: Weighed(isolated(content), rounds.number, "", message_bytes(content), payload_bytes(content))
    return grid, clients, clock


def _virtual_grid(history: AppHistory, clients: ForeignClients, run_config: UserConfig) -> VirtualTimeGrid:
    scenario, streams, fleet, trace = history.scenario, history.streams, history.fleet, history.trace
    environment = simpy.Environment()
    place_server(environment, scenario.server)
    numbers = range(len(fleet))
    roll = RollCall(scenario.fleet, streams, numbers, drains(cast(Scenario, scenario), fleet))

    def node(number: int) -> Node:
        context = node_context(FIRST_NODE_ID + number, number, len(fleet), run_config)
        presence = roll.presence(number, agenda_of(environment))
        return Node(SimulatedDevice(environment, fleet[number], streams, trace, presence), context)

    return VirtualTimeGrid(
        environment=environment,
        nodes=NodesWhenAsked(numbers, numbers.__contains__, node, FIRST_NODE_ID),
        clients=clients,
        trace=trace,
        horizon=inf if scenario.stop is None else scenario.stop.virtual_time,
        roll=roll if roll.changes else None,
        # replies are of use whenever they come
        most_staleness=inf,
        honours_ttl=True,
    )


@contextmanager
def _surroundings(streams: Streams, clock: ServerClock) -> Iterator[None]:
    """What a server app finds: Flower's identity of a server, a virtual clock, and global generators that the seed decides."""
    with server_identity(), dated(clock.date), own_randomness(streams, "app", "server"), clock.running():
        random.seed(streams.integer("cohort"))
        yield


def _end(history: AppHistory, grid: VirtualTimeGrid) -> None:
    history.end = grid.now
    history.trace.cut(grid.now)
    if grid.roll is not None:
        history.trace.batteries = grid.roll.accounts(grid.now)


def _provenance(scenario: AppScenario, started: float) -> dict[str, object]:
    return {
        "versions": {package: version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "seed": scenario.seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "host_seconds": time.time() - started,
    }
