"""The experiment: the one place where learning, costs, virtual time and Flower meet.

`run` takes a scenario and gives a RunResult; nothing is written. Clients train for real, in this process, when their
devices' processors turn to it; the clock is SimPy's and takes its times from the costs of that work and from the bytes
of the messages that really travel.
"""

import logging
import math
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import simpy
import torch
from flwr.app import UserConfig

from fedtiny.attribution import attribution
from fedtiny.battery_drain import drains
from fedtiny.battery_results import battery_notes, charges_table, with_batteries
from fedtiny.carbon_results import emissions_summary, with_emissions
from fedtiny.design.pretraining import save_values
from fedtiny.errors import ScenarioError
from fedtiny.federation.deferred_clients import Training
from fedtiny.federation.flower_internals import server_identity
from fedtiny.federation.grid import FIRST_NODE_ID, HorizonReached, Participation, VirtualTimeGrid, node_context
from fedtiny.federation.nodes import NodesWhenAsked
from fedtiny.federation.records import Vector
from fedtiny.federation.task import Clients, Node
from fedtiny.flash_results import with_flash
from fedtiny.flower_app import ModelVersion, model_of, quality_of, serve
from fedtiny.participation import memory_needs, paging_sentences
from fedtiny.population_classes import population_counts
from fedtiny.preparation import World, prepare
from fedtiny.progress import Progress, Report
from fedtiny.recording import Version, activities_of, devices_table, labels_table, rounds_table, summary_of
from fedtiny.results.record import RunResult
from fedtiny.scenario.citations import citations_of
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario, Stop
from fedtiny.simulated_clients import TrainingOf, in_this_process, own_clients
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.connection import place_server
from fedtiny.simulation.device import SimulatedDevice
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import Trace
from fedtiny.strategies.asynchronous import oldest_reply_of
from fedtiny.timed_result import timed_result
from fedtiny.timing_run import run_timing
from fedtiny.training.evaluation import Quality
from fedtiny.training.local import Observer

_PACKAGES = ("fedtiny", "flwr", "numpy", "pyarrow", "simpy", "torch")


def run(
    scenario: Scenario,
    *,
    observe: Observer | None = None,
    progress: Report | None = None,
    allow_code: bool = False,
    training: TrainingOf | None = None,
) -> RunResult:
    """Runs one scenario.

    `observe(device, step, weights)` is called once per local step when the weights after it are final; `progress` is told
    about phases and rounds; `training` gives what trains packages of clients, left out: this process. Raises ScenarioError and
    other InputErrors before anything starts, ExperimentErrors later.
    """
    if not isinstance(scenario, Scenario):
        raise ScenarioError("this scenario is for a Flower app, it names nothing that trains: use fedtiny.run_app, or add model, data ...")
    if scenario.sweep:
        raise ScenarioError("this scenario has axes to sweep over: use `fedtiny sweep`, or leave out `sweep`", ("sweep",))
    started = time.time()
    if scenario.learning == "none":
        return _timed(scenario, observe, progress, allow_code, started)
    world = prepare(scenario, allow_code=allow_code, progress=_pretraining(progress))
    with (training or in_this_process(observe))(world) as packages:
        history = _simulate(world, packages, observe, progress or (lambda _: None))
    return _result(world, history, started)


def _timed(scenario: Scenario, observe: Observer | None, progress: Report | None, allow_code: bool, started: float) -> RunResult:
    if observe is not None:
        raise ScenarioError("without learning there are no weights to observe: leave out observe, or learning: none", ("learning",))

    def tell(number: int, now: float) -> None:
        if progress is not None:
            progress(Progress("rounds", number, scenario.stop.rounds, now, until=scenario.stop.virtual_time))

    result = timed_result(run_timing(scenario, allow_code=allow_code, progress=tell))
    # a copy with `replace` would read all of its attributes, and so make the table of activities
    result.provenance.update(_provenance(scenario, started))
    return result


def pretrain(scenario: Scenario, out: Path, *, progress: Report | None = None, allow_code: bool = False) -> None:
    """Writes the initial values of the scenario's network, pre-trained if it says so, as .safetensors."""
    world = prepare(scenario, allow_code=allow_code, progress=_pretraining(progress))
    save_values(world.blueprint.network, out)


@dataclass
class _History:
    """What the server held, when."""

    trace: Trace
    versions: list[Version] = field(default_factory=list)
    last: Vector = field(default_factory=lambda: np.zeros(0))
    end: float = 0.0
    lost_mass: float = 0.0


def _simulate(world: World, training: Training, observe: Observer | None, progress: Report) -> _History:
    scenario = world.blueprint.scenario
    history = _History(Trace())
    clients = own_clients(world, training, observe)
    grid = virtual_grid(world, clients, history.trace)

    def on_version(version: ModelVersion) -> None:
        number, quality = version.round, version.quality
        history.last, history.lost_mass = version.trainable, version.lost_mass
        participation = grid.close_round(number) if number else Participation(0, 0)
        trace = history.trace
        trace.charges += [] if grid.roll is None else grid.roll.charges(number, grid.now)
        up, down, begun = trace.bytes_up, trace.bytes_down, len(trace.activities)
        history.versions.append(Version(number, grid.now, participation, quality, up, down, begun=begun, delay=version.delay))
        progress(_progress(scenario.stop, history.versions[-1]))

    with server_identity(), _quiet_flower(), torch.random.fork_rng(devices=[]), suppress(HorizonReached):
        serve(world, grid, on_version, training.quality)
    if observe is not None:
        clients.catch_up()
    history.end = grid.now
    history.trace.cut(grid.now)
    if grid.roll is not None:
        history.trace.batteries = grid.roll.accounts(grid.now)
    _evaluate_last(history, training.quality or partial(quality_of, world))
    return history


def _progress(stop: Stop, version: Version) -> Progress:
    accuracy = version.quality.accuracy if version.quality else None
    return Progress("rounds", version.round, stop.rounds, version.virtual_time, accuracy, stop.virtual_time, stop.target_accuracy, version)


def _evaluate_last(history: _History, quality: Callable[[Vector], Quality]) -> None:
    last = history.versions[-1]
    if last.quality is None:
        history.versions[-1] = replace(last, quality=quality(history.last))


def virtual_grid(world: World, clients: Clients, trace: Trace, run_config: UserConfig | None = None) -> VirtualTimeGrid:
    """A Grid in virtual time whose nodes are the scenario's devices; `clients` answer its messages.

    What happens is written to `trace`; `run_config` is what a client app finds in its context.
    """
    scenario, streams = world.blueprint.scenario, world.blueprint.streams
    environment = simpy.Environment()
    place_server(environment, scenario.server)
    participants = world.participants
    roll = RollCall(scenario.fleet, streams, participants.numbers, drains(scenario, world.blueprint.fleet))

    def node(number: int) -> Node:
        context = node_context(FIRST_NODE_ID + number, number, len(participants), run_config)
        presence = roll.presence(number, agenda_of(environment))
        return Node(SimulatedDevice(environment, participants[number].traits, streams, trace, presence), context)

    nodes = NodesWhenAsked(participants.numbers, participants.takes_part, node, FIRST_NODE_ID)
    strategy, stop = scenario.strategy, scenario.stop
    return VirtualTimeGrid(
        environment=environment,
        nodes=nodes,
        clients=clients,
        trace=trace,
        lifetime=float("inf") if strategy.message_lifetime is None else strategy.message_lifetime,
        horizon=float("inf") if stop.virtual_time is None else stop.virtual_time,
        most_staleness=oldest_reply_of(strategy),
        roll=roll if roll.changes else None,
    )


def _result(world: World, history: _History, started: float) -> RunResult:
    scenario = world.blueprint.scenario
    activities = activities_of(world, history.trace, {item.round: item.virtual_time for item in history.versions}, history.end)
    devices = with_flash(with_emissions(with_batteries(devices_table(world, activities), history.trace), scenario), world)
    where = attribution(world.blueprint, history.trace, [version.virtual_time for version in history.versions], activities.stalls)
    rounds = rounds_table(world, history.trace, history.versions, activities, where.rounds)
    return RunResult(
        name=scenario.name,
        status="done",
        scenario_yaml=resolved_yaml(scenario),
        rounds=rounds,
        activities=activities,
        devices=devices,
        labels=labels_table(history.versions),
        critical_path=where.critical_path,
        charges=charges_table(history.trace),
        attribution=where.document,
        model=model_of(world, history.last),
        summary={
            **summary_of(rounds, devices, scenario.stop.target_accuracy, history.lost_mass),
            **where.summary,
            **emissions_summary(world, history.trace, history.versions, activities),
        },
        provenance=_provenance(scenario, started),
        citations=citations_of(scenario),
        notes=_notes(world, history),
        memory=memory_needs([participant for participant, _ in world.participants.counted]),
        population=population_counts(world.blueprint, world.participants.counted, devices),
    )


def _provenance(scenario: Scenario, started: float) -> dict[str, object]:
    return {
        "versions": {package: version(package) for package in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "seed": scenario.seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "host_seconds": time.time() - started,
    }


def _notes(world: World, history: _History) -> list[str]:
    scenario = world.blueprint.scenario
    notes = [f"Data: {world.source}"]
    if scenario.model.pretrained is not None:
        notes.append("The network was pre-trained before time 0, which is free in virtual time, bytes and joules.")
    notes.extend(world.notes)
    excluded = len(world.participants) - len(world.included)
    if excluded:
        notes.append(f"Training does not fit {excluded} of {len(world.participants)} devices; they and their data take no part.")
    notes.extend(f"{sentence}." for sentence in paging_sentences(world.participants.counted))
    counted = [item.traits for item, _ in world.participants.counted if item.fits and item.traits.device.power is not None]
    silent = sorted({traits.network.name for traits in counted if traits.network.energy_up is None})
    if silent:
        notes.append(f"Radio energy is not counted on {', '.join(silent)}: its joules per byte are not known.")
    notes.extend(battery_notes(history.trace.batteries))
    diverged = [item.round for item in history.versions if item.quality is not None and not math.isfinite(item.quality.loss)]
    if diverged:
        notes.append(
            f"The model diverged: from round {diverged[0]} on its loss is not a finite number. Lower training.optimizer.learning_rate."
        )
    if history.lost_mass:
        notes.append(f"Contributions with a total weight of {history.lost_mass:.4g} rounds were lost and are in no version of the model.")
    return notes


def _pretraining(progress: Report | None) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(Progress("pre-training", done, total))


@contextmanager
def _quiet_flower() -> Iterator[None]:
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
