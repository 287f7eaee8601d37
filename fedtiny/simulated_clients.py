"""FedTiny's own clients on simulated devices: what a local step costs each, and what trains them.

`TrainingOf` is where another way of training packages of clients comes in: worker processes, a cluster, a journal of finished
work. All of them give the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import numpy as np
from flwr.app import RecordDict

from fedtiny.costs.compute import step_macs, step_seconds
from fedtiny.federation.deferred_clients import DeferredClients, Training
from fedtiny.federation.records import ARRAYS, METRICS, array_record
from fedtiny.flower_app import learners_of
from fedtiny.participation import Participant
from fedtiny.preparation import World
from fedtiny.strategies.synchronous import client_metrics
from fedtiny.training.local import Observer
from fedtiny.training.local_work import LocalResult, Package
from fedtiny.updates.plan import UpdatePlan

TrainingOf = Callable[[World], AbstractContextManager[Training]]
"""What gives a run its way of training packages, and puts it away afterwards."""


def in_this_process(observe: Observer | None = None) -> TrainingOf:
    """Packages are trained here, one after the other."""

    @contextmanager
    def training(world: World) -> Iterator[Training]:
        learner = learners_of(world, observe)

        def execute(packages: Sequence[Package]) -> list[list[LocalResult]]:
            return [[learner(number).do(work) for number, work in package] for package in packages]

        yield Training(execute, clients=32)

    return training


def own_clients(world: World, training: Training, observe: Observer | None = None) -> DeferredClients:
    """The scenario's own client app on its simulated devices."""
    strategy, client_of = world.blueprint.scenario.strategy, cache(learners_of(world, observe))
    element = world.flat.read().dtype

    def reply_of(number: int, carries_arrays: bool) -> RecordDict:
        client = client_of(number)
        own = np.zeros(world.flat.layout.elements, dtype=element)[client.own]
        metrics = client_metrics(client, 0.0)
        return RecordDict({ARRAYS: array_record(own), METRICS: metrics} if carries_arrays else {METRICS: metrics})

    return DeferredClients(
        answer=strategy.answer,
        foresee=strategy.foresee,
        client_of=client_of,
        step_effort=step_effort(world),
        reply_of=reply_of,
        training=training,
    )


def step_effort(world: World) -> Callable[[int, int], tuple[float, float]]:
    """Seconds and MACs of a device's local step, by device number and step."""
    plans = world.blueprint
    by_number: dict[int, Participant] = {participant.traits.number: participant for participant in world.participants}

    @cache
    def macs(plan: UpdatePlan) -> float:
        return sum(step_macs(plans.summary, plan).values())

    @cache
    def seconds(number: int, batch_size: int) -> float:
        return step_seconds(plans.summary, by_number[number].plan, batch_size, by_number[number].traits.device)

    def effort(number: int, step: int) -> tuple[float, float]:
        participant = by_number[number]
        size = participant.batches.size(step)
        return seconds(number, size), macs(participant.plan) * size

    return effort
