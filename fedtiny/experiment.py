"""The experiment: the one place where learning, costs, virtual time and Flower meet.

`run` takes a scenario and gives a RunResult; nothing is written. Clients train for real, in this process, when their
devices' processors turn to it; the clock is SimPy's and takes its times from the costs of that work and from the bytes
of the messages that really travel.
"""

import logging
import platform
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import simpy
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from fedtiny.costs.compute import step_macs, step_seconds
from fedtiny.design.pretraining import save_values
from fedtiny.errors import ScenarioError
from fedtiny.federation.client_work import client_app, effort_of, partition_id
from fedtiny.federation.flower_internals import server_identity
from fedtiny.federation.grid import FIRST_NODE_ID, HorizonReached, Node, Participation, VirtualTimeGrid, node_context
from fedtiny.federation.records import LOCAL_STEPS, Vector, array_record, vector_of
from fedtiny.preparation import Participant, World, memory_needs, prepare
from fedtiny.results.record import RunResult
from fedtiny.scenario.citations import citations_of
from fedtiny.scenario.files import resolved_yaml
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.device import SimulatedDevice
from fedtiny.simulation.trace import Trace
from fedtiny.strategies.dga_client import LEARNING_RATE
from fedtiny.recording import Version, activities_table, devices_table, rounds_table, summary_of
from fedtiny.training.evaluation import Quality, evaluate
from fedtiny.training.local import LocalLearner, Observer

_ENDLESS = 2**31
_PACKAGES = ("fedtiny", "flwr", "numpy", "pyarrow", "simpy", "torch")


@dataclass(frozen=True)
class Progress:
    """How far a run is: rounds done and wanted (None: unknown), virtual seconds, the last accuracy; or a phase before time 0."""

    phase: str
    done: int
    total: int | None
    virtual_time: float = 0.0
    accuracy: float | None = None


Report = Callable[[Progress], None]


class _Finished(Exception):  # noqa: N818  (it ends a run as planned; it is not an error)
    """The target accuracy is reached."""


def run(scenario: Scenario, *, observe: Observer | None = None, progress: Report | None = None, allow_code: bool = False) -> RunResult:
    """Runs one scenario.

    `observe(device, step, weights)` is called once per local step when the weights after it are final; `progress` is told
    about phases and rounds. Raises ScenarioError and other InputErrors before anything starts, ExperimentErrors later.
    """
    if scenario.sweep:
        raise ScenarioError("this scenario has axes to sweep over: use `fedtiny sweep`, or leave out `sweep`", ("sweep",))
    started = time.time()
    with _one_thread():
        world = prepare(scenario, allow_code=allow_code, progress=_pretraining(progress))
        history = _simulate(world, observe, progress or (lambda _: None))
        return _result(world, history, started)


def pretrain(scenario: Scenario, out: Path, *, progress: Report | None = None, allow_code: bool = False) -> None:
    """Writes the initial values of the scenario's network, pre-trained if it says so, as .safetensors."""
    with _one_thread():
        world = prepare(scenario, allow_code=allow_code, progress=_pretraining(progress))
        save_values(world.blueprint.network, out)


def serve(world: World, grid: Grid, on_version: Callable[[int, ArrayRecord, float], None]) -> None:
    """Runs the scenario's strategy on any Grid, virtual or real; `on_version` gets every version of the global model."""
    training = world.blueprint.scenario.training
    rounds = world.blueprint.scenario.stop.rounds
    config = ConfigRecord({LOCAL_STEPS: training.local_steps, LEARNING_RATE: training.optimizer.learning_rate})
    initial = array_record(world.flat.read())
    world.blueprint.scenario.strategy.start(grid, initial, _ENDLESS if rounds is None else rounds, config, on_version)


def client_app_of(world: World, observe: Observer | None = None) -> ClientApp:
    """The scenario's Flower ClientApp, the same in the simulation and on a real SuperNode."""
    scenario = world.blueprint.scenario
    by_number = {participant.traits.number: participant for participant in world.participants}
    stochastic = any(isinstance(module, torch.nn.modules.dropout._DropoutNd) for module in world.flat.network.modules())

    def learner_of(context: Context) -> LocalLearner:
        participant = by_number[partition_id(context)]
        return LocalLearner(
            number=participant.traits.number,
            flat=world.flat,
            examples_of_all=world.train,
            batches=participant.batches,
            optimizer=scenario.training.optimizer,
            observer=observe,
            stochastic=stochastic or scenario.model.kind == "python",
        )

    return client_app(scenario.strategy.answer, learner_of)


@dataclass
class _History:
    """What the server held, when."""

    trace: Trace
    versions: list[Version] = field(default_factory=list)
    last: Vector = field(default_factory=lambda: np.zeros(0))
    end: float = 0.0
    lost_mass: float = 0.0


def _simulate(world: World, observe: Observer | None, progress: Report) -> _History:
    scenario = world.blueprint.scenario
    history = _History(Trace())
    grid = _grid(world, history.trace, observe)

    def on_version(number: int, arrays: ArrayRecord, lost_mass: float) -> None:
        history.last, history.lost_mass = vector_of(arrays), lost_mass
        participation = grid.close_round(number) if number else Participation(0, 0)
        quality = _quality(world, history.last) if number % scenario.evaluation.every == 0 else None
        history.versions.append(Version(number, grid.now, participation, quality, history.trace.bytes_up, history.trace.bytes_down))
        accuracy = quality.accuracy if quality else None
        progress(Progress("rounds", number, scenario.stop.rounds, grid.now, accuracy))
        target = scenario.stop.target_accuracy
        if target is not None and accuracy is not None and accuracy >= target:
            raise _Finished

    with server_identity(), _seeded(world.blueprint.streams.integer("cohort")), _quiet_flower(), torch.random.fork_rng(devices=[]):
        try:
            serve(world, grid, on_version)
        except (_Finished, HorizonReached):
            pass
    history.end = grid.now
    history.trace.cut(grid.now)
    _evaluate_last(world, history)
    return history


def _evaluate_last(world: World, history: _History) -> None:
    last = history.versions[-1]
    if last.quality is None:
        history.versions[-1] = replace(last, quality=_quality(world, history.last))


def _quality(world: World, vector: Vector) -> Quality:
    world.flat.load(vector)
    return evaluate(world.flat, world.test)


def _grid(world: World, trace: Trace, observe: Observer | None) -> VirtualTimeGrid:
    scenario, streams = world.blueprint.scenario, world.blueprint.streams
    environment = simpy.Environment()
    nodes = {}
    for participant in world.included:
        number = participant.traits.number
        context = node_context(FIRST_NODE_ID + number, number, len(world.participants))
        nodes[FIRST_NODE_ID + number] = Node(SimulatedDevice(environment, participant.traits, streams, trace), context)
    strategy, stop = scenario.strategy, scenario.stop
    return VirtualTimeGrid(
        environment=environment,
        nodes=nodes,
        client_app=client_app_of(world, observe),
        effort=effort_of(_step_effort(world)),
        trace=trace,
        lifetime=float("inf") if strategy.message_lifetime is None else strategy.message_lifetime,
        horizon=float("inf") if stop.virtual_time is None else stop.virtual_time,
        raise_client_errors=True,
    )


def _step_effort(world: World) -> Callable[[int, int], tuple[float, float]]:
    plans = world.blueprint
    by_number: dict[int, Participant] = {participant.traits.number: participant for participant in world.participants}
    macs = sum(step_macs(plans.summary, plans.plan).values())

    @lru_cache(maxsize=None)
    def seconds(number: int, batch_size: int) -> float:
        return step_seconds(plans.summary, plans.plan, batch_size, by_number[number].traits.device)

    def effort(number: int, step: int) -> tuple[float, float]:
        size = by_number[number].batches.size(step)
        return seconds(number, size), macs * size

    return effort


def _result(world: World, history: _History, started: float) -> RunResult:
    scenario = world.blueprint.scenario
    activities = activities_table(world, history.trace, {item.round: item.virtual_time for item in history.versions}, history.end)
    devices = devices_table(world, activities)
    rounds = rounds_table(history.versions, activities)
    world.flat.load(history.last)
    return RunResult(
        name=scenario.name,
        status="done",
        scenario_yaml=resolved_yaml(scenario),
        rounds=rounds,
        activities=activities,
        devices=devices,
        model={name: value.numpy(force=True).copy() for name, value in world.flat.network.state_dict().items()},
        summary=summary_of(rounds, devices, scenario.stop.target_accuracy, history.lost_mass),
        provenance={
            "versions": {package: version(package) for package in _PACKAGES},
            "python": platform.python_version(),
            "platform": platform.platform(),
            "seed": scenario.seed,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "host_seconds": time.time() - started,
        },
        citations=citations_of(scenario),
        notes=_notes(world, history),
        memory=memory_needs(world),
    )


def _notes(world: World, history: _History) -> list[str]:
    scenario = world.blueprint.scenario
    notes = [f"Data: {world.source}"]
    if scenario.model.pretrained is not None:
        notes.append("The network was pre-trained before time 0, which is free in virtual time, bytes and joules.")
    excluded = len(world.participants) - len(world.included)
    if excluded:
        notes.append(f"Training does not fit {excluded} of {len(world.participants)} devices; they and their data take no part.")
    counted = [item.traits for item in world.included if item.traits.device.power is not None]
    silent = sorted({traits.network.name for traits in counted if traits.network.energy_up is None})
    if silent:
        notes.append(f"Radio energy is not counted on {', '.join(silent)}: its joules per byte are not known.")
    if history.lost_mass:
        notes.append(f"Contributions with a total weight of {history.lost_mass:.4g} rounds were lost and are in no version of the model.")
    return notes


def _pretraining(progress: Report | None) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, total: progress(Progress("pre-training", done, total))


@contextmanager
def _one_thread() -> Iterator[None]:
    # tiny networks run faster on one thread, and sums must not depend on how many cores a machine has
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # Flower's strategies sample devices with Python's global generator
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


@contextmanager
def _quiet_flower() -> Iterator[None]:
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)

