"""FedTiny's own clients on simulated devices: what a local step costs each, and what trains them.

`TrainingOf` is where another way of training packages of clients comes in: worker processes, a cluster, a journal of finished
work. All of them give the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache, partial
from typing import Final

import numpy as np

from fedtiny.blueprint import memory_on
from fedtiny.costs.step import StepCost, step_cost, total_cost
from fedtiny.federation.client_work import ClientReply
from fedtiny.federation.deferred_clients import DeferredClients, Training
from fedtiny.flower_app import learners_of
from fedtiny.participation import Participant
from fedtiny.preparation import World
from fedtiny.strategies.synchronous import client_metrics
from fedtiny.training.cohort import CohortTrainer
from fedtiny.training.local import LocalLearner, Observer
from fedtiny.training.local_work import LocalResult, Package

TrainingOf = Callable[[World], AbstractContextManager[Training]]
"""What gives a run its way of training packages, and puts it away afterwards."""

_LEARNERS_KEPT: Final = 1024
"""Learners keep nothing between messages and are made in no time; those of a large fleet take more memory than a round needs."""


def in_this_process(observe: Observer | None = None) -> TrainingOf:
    """Packages are trained here, one after the other."""

    @contextmanager
    def training(world: World) -> Iterator[Training]:
        learner = lru_cache(_LEARNERS_KEPT)(learners_of(world, observe))
        train = CohortTrainer(world.flat, learner).train if world.cohort.execution == "vectorised" else partial(_one_by_one, learner)

        def execute(packages: Sequence[Package]) -> list[list[LocalResult]]:
            return [train(package) for package in packages]

        yield Training(execute, world.cohort.clients)

    return training


def _one_by_one(learner: Callable[[int], LocalLearner], package: Package) -> list[LocalResult]:
    return [learner(number).do(work) for number, work in package]


def own_clients(world: World, training: Training, observe: Observer | None = None) -> DeferredClients:
    """The scenario's own client app on its simulated devices."""
    strategy, client_of = world.blueprint.scenario.strategy, lru_cache(_LEARNERS_KEPT)(learners_of(world, observe))
    element = world.flat.read().dtype

    def reply_of(number: int, carries_arrays: bool) -> ClientReply:
        client = client_of(number)
        own = np.zeros(world.flat.layout.elements, dtype=element)[client.own]
        return ClientReply(client_metrics(client, 0.0), own if carries_arrays else None)

    return DeferredClients(
        answer=strategy.answer,
        foresee=strategy.foresee,
        client_of=client_of,
        effort=effort_of(world),
        reply_of=reply_of,
        training=training,
    )


def effort_of(world: World) -> Callable[[int, int, int], StepCost]:
    """What a device's local steps cost, by device number, first step (from 1) and how many."""
    plans, participants = world.blueprint, world.participants
    # devices share their plans, and to compare two plans takes longer than to know one again; devices of one group are alike but for their
    # connection, those of a population in memory too
    costs: dict[tuple[int, float, int, int, int], StepCost] = {}

    def of_equal_steps(participant: Participant, batch_size: int, steps: int) -> StepCost:
        device, plan = participant.traits.device, participant.plan
        key = (participant.traits.group, device.memory, id(plan), batch_size, steps)
        found = costs.get(key)
        if found is None:
            one = step_cost(plans.summary, plan, batch_size, device, memory_on(plans, plan, batch_size, device))
            found = costs[key] = total_cost([one] * steps)
        return found

    def effort(number: int, first: int, steps: int) -> StepCost:
        participant = participants[number]
        batches = participant.batches
        if len(batches.indices) % batches.batch_size:
            total = total_cost([of_equal_steps(participant, batches.size(step), 1) for step in range(first, first + steps)])
        else:
            total = of_equal_steps(participant, batches.batch_size, steps)
        return total.at(participant.traits.speed)

    return effort
