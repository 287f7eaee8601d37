"""What can be said about a scenario without its data: the network, the fleet, what each device may train and what that takes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import torch
from torch import nn

from fedtiny.battery_drain import drains
from fedtiny.costs.autograd_memory import autograd_memory
from fedtiny.costs.mcu_memory import mcu_memory
from fedtiny.costs.memory import tinytl_memory
from fedtiny.datasets.base import DatasetFacts
from fedtiny.design.automatic import Needs
from fedtiny.errors import ModelError, ScenarioError
from fedtiny.fleet.device import DeviceProfile
from fedtiny.fleet.enrolled import AnyFleet, devices_of
from fedtiny.inputs import check_inputs
from fedtiny.models.base import Model
from fedtiny.models.measure import summarize
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.step import StepFacts
from fedtiny.models.summary import ModelSummary
from fedtiny.models.watch_step import watch_step
from fedtiny.randomness import Streams
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.roll_call import RollCall
from fedtiny.training.local import dtype_of
from fedtiny.updates.automatic import BEST_FIRST, Automatic, cheaper_than
from fedtiny.updates.base import Update
from fedtiny.updates.plan import UpdatePlan


@dataclass(frozen=True)
class Candidate:
    """An update that devices may train, and what it trains in this network."""

    update: Update
    plan: UpdatePlan


@dataclass(frozen=True)
class Blueprint:
    """Everything about a scenario that can be said without its data."""

    scenario: Scenario
    streams: Streams
    facts: DatasetFacts
    network: nn.Module
    summary: ModelSummary
    candidates: tuple[Candidate, ...]
    """What devices may train, best first: one update, or several where devices choose."""
    fleet: AnyFleet
    given_up: tuple[str, ...] = ()
    """Kinds of updates that no device would train, so that the network was built without what they need."""

    @property
    def plan(self) -> UpdatePlan:
        """What the first candidate trains: the update that the scenario states, or the best one."""
        return self.candidates[0].plan

    @cached_property
    def step(self) -> StepFacts:
        """What autograd keeps of a step of this network, watched once."""
        return watch_step(self.network, self.scenario.model.kind, self.summary.input_shape)

    @property
    def carries_lite_residual_for_an_update(self) -> bool:
        """Whether the network has lite residual modules only because a candidate trains them."""
        carries = any(layer.section == "lite_residual" for layer in self.summary.layers)
        return carries and not self.scenario.model.wants_lite_residual(False)


def blueprint(scenario: Scenario, *, allow_code: bool = False, without_lite_residual: bool = False) -> Blueprint:
    """Builds the network at its initial values and everything that follows from it.

    `without_lite_residual` leaves out the candidates that train lite residual modules. Raises ScenarioError where parts do
    not go together, or where own code is named and not allowed.
    """
    if isinstance(scenario.model, PythonNetwork) and not allow_code:
        raise ScenarioError(
            f"{scenario.model.path} is code of your own, which runs only if you allow it: add --allow-code, or allow_code=True in Python",
            ("model",),
        )
    streams = Streams(scenario.seed)
    facts = scenario.data.facts()
    if scenario.stop.target_accuracy is not None and not facts.categorical:
        raise ScenarioError(
            f"the targets of {facts.name} are numbers and not classes, so there is no accuracy to stop at: use rounds or virtual_time",
            ("stop", "target_accuracy"),
        )
    check_inputs(scenario.model, facts)
    shape = _image_shape(facts)
    every = _updates(scenario)
    updates = [update for update in every if not (without_lite_residual and update.trains_lite_residual)]
    given_up = tuple(update.kind for update in every if update not in updates)
    lite = scenario.model.wants_lite_residual(any(update.trains_lite_residual for update in updates))
    network = _network(scenario, shape, facts.classes, lite, streams.integer("model", "initial"))
    summary = summarize(network, scenario.model.kind, shape, facts.classes)
    # reads the traces that it names, so that it is known now what is wrong with one
    RollCall(scenario.fleet, streams, ())
    fleet = devices_of(scenario.fleet, scenario.device, scenario.network, streams)
    drains(scenario, fleet)
    return Blueprint(scenario, streams, facts, network, summary, tuple(_candidates(scenario, updates, summary)), fleet, given_up)


def _network(scenario: Scenario, shape: tuple[int, int, int], classes: int, lite: bool, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = scenario.model.build(shape, classes, lite_residual=lite, generator=torch.Generator().manual_seed(seed))
    return network.to(dtype_of(scenario.training.precision))


def _image_shape(facts: DatasetFacts) -> tuple[int, int, int]:
    shape = facts.input_shape
    return cast(tuple[int, int, int], shape if len(shape) == 3 else (1,) * (3 - len(shape)) + tuple(shape))


def _updates(scenario: Scenario) -> list[Update]:
    """What devices may train, best first; of what the scenario does not name itself, only what its model can carry."""
    required, optional = _named(scenario)
    return [*required, *(update for update in optional if not update.trains_lite_residual or _can_carry(scenario.model))]


def _named(scenario: Scenario) -> tuple[tuple[Update, ...], tuple[Update, ...]]:
    """The updates that the scenario names, and those that follow from what it leaves out."""
    if isinstance(scenario.update, Automatic):
        return (scenario.update.candidates, ()) if scenario.update.candidates else ((), BEST_FIRST)
    return (scenario.update,), cheaper_than(scenario.update) if scenario.on_out_of_memory == "downgrade" else ()


def _can_carry(model: Model) -> bool:
    try:
        return model.wants_lite_residual(True)
    except ModelError:
        return False


def _candidates(scenario: Scenario, updates: list[Update], summary: ModelSummary) -> Iterator[Candidate]:
    required, _ = _named(scenario)
    for update in updates:
        try:
            yield Candidate(update, update.plan(summary))
        except ScenarioError:
            # what follows from a default is left out where the network lacks something for it, such as a head
            if update in required:
                raise


def training_ledger(plans: Blueprint, plan: UpdatePlan, batch_size: int) -> Needs:
    """What training takes of a device's memory in the scenario's accounting, the strategy's own vectors included."""
    training, summary = plans.scenario.training, plans.summary
    vectors = plans.scenario.strategy.client_vectors(training.local_steps)
    element = 8 if training.precision == "float64" else 4
    match plans.scenario.accounting:
        case "tinytl":
            return tinytl_memory(summary, plan, batch_size, client_vectors=vectors, vector_element_bytes=element)
        case "mcu":
            return mcu_memory(summary, plan, batch_size, client_vectors=vectors, vector_element_bytes=element)
        case "autograd":
            return autograd_memory(summary, plans.step, plan, batch_size, optimizer=training.optimizer, client_vectors=vectors)


def memory_on(plans: Blueprint, plan: UpdatePlan, batch_size: int, device: DeviceProfile) -> int:
    """Bytes that a step on a batch takes where they decide how long it takes: on a device that pages; 0 on others."""
    return 0 if device.paging is None else training_ledger(plans, plan, batch_size).total_bytes
