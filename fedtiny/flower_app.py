"""A scenario as a Flower app: the server's loop and the client's app, the same in virtual time and on a real SuperLink.

The simulation runs `serve` on a VirtualTimeGrid whose nodes answer with `client_app_of`; the apps in clients/ call the
same two from a ServerApp and a ClientApp of their own.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from fedtiny.errors import ScenarioError
from fedtiny.federation.client_work import client_app, partition_id
from fedtiny.federation.garbage import quick_collections
from fedtiny.federation.grid import VirtualTimeGrid
from fedtiny.federation.records import LOCAL_STEPS, NUM_PARTITIONS, Vector, array_record, vector_of
from fedtiny.preparation import World
from fedtiny.randomness import Streams, seeded_global_numpy
from fedtiny.strategies.round_rates import stated_rates
from fedtiny.training.evaluation import Quality, evaluate
from fedtiny.training.local import LocalLearner, Observer
from fedtiny.training.one_thread import one_thread
from fedtiny.updates.layout import OwnElements, Positions

SPEED: Final = "speed"
_ENDLESS = 2**31


@dataclass(frozen=True)
class ModelVersion:
    """One version of the global model, as the server has just made it; round 0 is the initial one.

    `trainable` is the flat vector of all trainable values, shape (trainable elements,); `quality` is None where the
    scenario does not ask for an evaluation; `lost_mass` and `delay` as in `strategies.base.EvaluateFunction`.
    """

    round: int
    trainable: Vector
    quality: Quality | None
    lost_mass: float
    delay: int | None = None


class _TargetReached(Exception):  # noqa: N818  (it ends a run as planned; it is not an error)
    """The model is as good as the scenario wants it."""


def serve(
    world: World,
    grid: Grid,
    on_version: Callable[[ModelVersion], None],
    quality: Callable[[Vector], Quality] | None = None,
) -> ModelVersion:
    """Runs the scenario's strategy on any Grid, virtual or real, until its rounds are done or its target is reached.

    `on_version` is told of every version of the global model; the last one is returned. `quality` says what a version is worth; left
    out: the test set does. Raises RoundError if nobody answers in a round, and ScenarioError if the scenario limits virtual time,
    which a real Grid does not have.
    """
    scenario = world.blueprint.scenario
    training, stop, every = scenario.training, scenario.stop, scenario.evaluation.every
    if stop.virtual_time is not None and not isinstance(grid, VirtualTimeGrid):
        raise ScenarioError("a real federation has no virtual time to stop at: use rounds or target_accuracy", ("stop", "virtual_time"))

    last: list[ModelVersion] = []
    worth = quality or partial(quality_of, world)

    def version(number: int, arrays: ArrayRecord, lost_mass: float, delay: int | None = None, /) -> None:
        trainable = vector_of(arrays)
        found = worth(trainable) if number % every == 0 or number == stop.rounds else None
        last[:] = [ModelVersion(number, trainable, found, lost_mass, delay)]
        on_version(last[0])
        if stop.target_accuracy is not None and found and (found.accuracy or 0.0) >= stop.target_accuracy:
            raise _TargetReached

    config = ConfigRecord({LOCAL_STEPS: training.local_steps, **stated_rates(training.optimizer)})
    initial = array_record(world.flat.read())
    parts = None if world.parts is None else OwnPositions(world.parts)
    with _seeded(world.blueprint.streams, grid), quick_collections(), suppress(_TargetReached):
        scenario.strategy.start(grid, initial, _ENDLESS if stop.rounds is None else stop.rounds, config, version, parts)
    return last[0]


@dataclass(frozen=True)
class OwnPositions(Mapping[int, Positions]):
    """Which elements of the flat vector each client trains, by number: of who is asked for."""

    parts: Mapping[int, OwnElements]

    def __getitem__(self, number: int) -> Positions:
        return self.parts[number].positions

    def __iter__(self) -> Iterator[int]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


@one_thread()
def quality_of(world: World, trainable: Vector) -> Quality:
    """What the model with these trainable values is worth on the test set."""
    world.flat.load(trainable)
    return evaluate(world.flat, world.test)


def model_of(world: World, trainable: Vector) -> dict[str, np.ndarray]:
    """Copies of all tensors of the model with these trainable values, by name."""
    world.flat.load(trainable)
    return {name: value.numpy(force=True).copy() for name, value in world.flat.network.state_dict().items()}


def learners_of(world: World, observe: Observer | None = None) -> Callable[[int], LocalLearner]:
    """What finds the learner of a device that takes part, by the device's number. They share one network."""
    scenario = world.blueprint.scenario
    stochastic = any(isinstance(module, torch.nn.modules.dropout._DropoutNd) for module in world.flat.network.modules())

    def learner(number: int) -> LocalLearner:
        return LocalLearner(
            number=number,
            flat=world.flat,
            examples_of_all=world.train,
            batches=world.participants[number].batches,
            optimizer=scenario.training.optimizer,
            observer=observe,
            stochastic=stochastic or scenario.model.kind == "python",
            part=None if world.parts is None else world.parts[number],
            pace=world.participants.pace_of(number),
        )

    return learner


def client_app_of(world: World, observe: Observer | None = None) -> ClientApp:
    """The scenario's Flower ClientApp. It finds its device by the node's `partition-id` and keeps nothing of its own.

    A message to a node fails with a ScenarioError if its `partition-id` is no device of the fleet or one that training does
    not fit, or if its `num-partitions` is not the size of the fleet: it would learn from other data than the node expects. A node whose
    configuration states its `speed` has that one (see `Pace.speed`) and not the one of its device in the scenario, unless all devices
    take equal steps.
    """
    learner = learners_of(world, observe)
    takes_equal_steps = world.blueprint.scenario.training.pace == "equal"

    def learner_of(context: Context) -> LocalLearner:
        number, fleet = partition_id(context), len(world.participants)
        partitions = context.node_config.get(NUM_PARTITIONS, fleet)
        if not world.participants.takes_part(number) or partitions != fleet:
            raise ScenarioError(
                f"partition-id {number} of {partitions}: the fleet has devices 0 to {fleet - 1}, and training fits {len(world.included)} "
                f"of them; start a SuperNode for each that fits, with its own partition-id and num-partitions={fleet}",
                ("fleet",),
            )
        return at_speed(learner(number), None if takes_equal_steps else context.node_config.get(SPEED))

    return client_app(world.blueprint.scenario.strategy.answer, learner_of)


def at_speed(learner: LocalLearner, speed: object) -> LocalLearner:
    """The learner with a speed that its node states; None: as it is. Raises ScenarioError where that is no positive number."""
    if speed is None:
        return learner
    if not isinstance(speed, int | float) or not 0 < speed < math.inf:
        raise ScenarioError(f"a node's speed must be a positive number, such as speed=0.5 for half as fast as the median, found {speed!r}")
    return replace(learner, pace=replace(learner.pace, speed=float(speed)))


@contextmanager
def _seeded(streams: Streams, grid: Grid) -> Iterator[None]:
    # Flower's strategies sample devices with Python's global generator and draw the noise of differential privacy from NumPy's, which
    # nobody may know in a real federation
    noise = seeded_global_numpy(streams.digest("server", "noise")) if isinstance(grid, VirtualTimeGrid) else nullcontext()
    before = random.getstate()
    random.seed(streams.integer("cohort"))
    try:
        with noise:
            yield
    finally:
        random.setstate(before)
