"""What a scenario needs before time 0: the network, its data, what trains, and whether it fits every device.

Infeasible work ends here, before it starts. `blueprint` needs no data and answers in the time torch takes to load;
`prepare` adds the data, the clients' shares and the pre-trained values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
import torch
from torch import nn

from fedtiny.costs.memory import MemoryLedger, tinytl_memory
from fedtiny.datasets.base import Dataset, DatasetFacts
from fedtiny.design.pretraining import Shares, pretrain, pretrained_values, shares_of
from fedtiny.design.transfer import put_back, tensors_of, transfer
from fedtiny.errors import ScenarioError
from fedtiny.fleet.fleet import Traits, traits
from fedtiny.inputs import check_inputs
from fedtiny.models.base import IMAGENET, Model, Pretraining
from fedtiny.models.given_network import GivenNetwork
from fedtiny.models.measure import summarize
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.summary import ModelSummary
from fedtiny.participation import Participant, decide
from fedtiny.randomness import Streams
from fedtiny.scenario.schema import Scenario
from fedtiny.training.local import Batches, Examples, FlatNetwork, dtype_of
from fedtiny.training.one_thread import one_thread
from fedtiny.updates.layout import Layout, layout_of
from fedtiny.updates.plan import UpdatePlan

TrainingProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Blueprint:
    """Everything about a scenario that can be said without its data."""

    scenario: Scenario
    streams: Streams
    facts: DatasetFacts
    network: nn.Module
    summary: ModelSummary
    plan: UpdatePlan
    fleet: list[Traits]


@dataclass(frozen=True)
class World:
    """All that exists at time 0."""

    blueprint: Blueprint
    flat: FlatNetwork
    train: Examples
    test: Examples
    participants: list[Participant]
    source: str
    notes: tuple[str, ...] = ()
    """Sentences on where the initial values come from, for the report."""

    @property
    def included(self) -> list[Participant]:
        """The devices that take part."""
        return [participant for participant in self.participants if participant.fits]


def blueprint(scenario: Scenario, *, allow_code: bool = False) -> Blueprint:
    """Builds the network at its initial values and everything that follows from it.

    Raises ScenarioError where parts do not go together, or where own code is named and not allowed.
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
    lite = scenario.model.wants_lite_residual(scenario.update.trains_lite_residual)
    seed = streams.integer("model", "initial")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = scenario.model.build(shape, facts.classes, lite_residual=lite, generator=torch.Generator().manual_seed(seed))
    network = network.to(dtype_of(scenario.training.precision))
    summary = summarize(network, scenario.model.kind, shape, facts.classes)
    plan = scenario.update.plan(summary)
    return Blueprint(scenario, streams, facts, network, summary, plan, traits(scenario.fleet, scenario.device, scenario.network, streams))


def _image_shape(facts: DatasetFacts) -> tuple[int, int, int]:
    shape = facts.input_shape
    return cast(tuple[int, int, int], shape if len(shape) == 3 else (1,) * (3 - len(shape)) + tuple(shape))


@one_thread()
def prepare(scenario: Scenario, *, allow_code: bool = False, progress: TrainingProgress | None = None) -> World:
    """Loads the data, spreads it over the devices, decides who can train, and pre-trains the network.

    Raises InfeasibleError, with the fleet entry as its path, if training does not fit and `on_out_of_memory` is fail, or
    if it fits nobody.
    """
    plans = blueprint(scenario, allow_code=allow_code)
    dataset = scenario.data.load(plans.streams)
    shares = shares_of(dataset, scenario.model.pretrained, plans.streams)
    participants = _participants(plans, _split(plans, dataset, shares))
    decide(scenario, participants)
    dtype = dtype_of(scenario.training.precision)
    train = _examples(dataset.train_inputs, dataset.train_targets, dtype)
    notes = _initial_values(plans, dataset, train, shares, progress)
    return World(
        blueprint=plans,
        flat=FlatNetwork(plans.network, _layout(plans)),
        train=train,
        test=_examples(dataset.test_inputs, dataset.test_targets, dtype),
        participants=participants,
        source=dataset.source,
        notes=notes,
    )


def _layout(plans: Blueprint) -> Layout:
    values = {name: parameter.numpy(force=True) for name, parameter in plans.network.named_parameters()}
    return layout_of(plans.plan, plans.summary, values)


def _examples(inputs: np.ndarray, targets: np.ndarray, dtype: torch.dtype) -> Examples:
    values = torch.from_numpy(np.ascontiguousarray(targets))
    return Examples(torch.from_numpy(np.ascontiguousarray(inputs)).to(dtype), values.to(dtype) if values.is_floating_point() else values)


def _split(plans: Blueprint, dataset: Dataset, shares: Shares) -> list[np.ndarray]:
    owners = None if dataset.client_train is None else dataset.client_train[shares.private]
    parts = plans.scenario.data.partition.split(dataset.train_targets[shares.private], len(plans.fleet), plans.streams, owners)
    return [shares.private[part] for part in parts]


def _participants(plans: Blueprint, parts: list[np.ndarray]) -> list[Participant]:
    scenario = plans.scenario
    ledger = lru_cache(lambda batch_size: training_ledger(plans, batch_size))
    result = []
    for device, indices in zip(plans.fleet, parts, strict=True):
        wanted = scenario.training.batch_size
        size = len(indices) if wanted == "all" else wanted
        batches = Batches(indices, size, plans.streams, ("group", device.group, "device", device.index))
        result.append(Participant(device, batches, ledger(size)))
    return result


def training_ledger(plans: Blueprint, batch_size: int) -> MemoryLedger:
    """What training takes of a device's memory, the strategy's own vectors included."""
    scenario = plans.scenario
    return tinytl_memory(
        plans.summary,
        plans.plan,
        batch_size,
        client_vectors=scenario.strategy.client_vectors(scenario.training.local_steps),
        vector_element_bytes=8 if scenario.training.precision == "float64" else 4,
    )


def _initial_values(
    plans: Blueprint, dataset: Dataset, train: Examples, shares: Shares, progress: TrainingProgress | None
) -> tuple[str, ...]:
    model, network = plans.scenario.model, plans.network
    if isinstance(model.pretrained, str):
        return transfer(network, plans.summary, model.pretrained)
    if model.pretrained is None:
        return ()
    notes = transfer(network, plans.summary, IMAGENET) if model.has_imagenet_weights else ()
    if not model.pretrained.new_head:
        _pretrained(plans, model.pretrained, dataset, train, shares, progress)
        return notes
    with put_back(network, tensors_of(plans.summary, "head")):
        _pretrained(plans, model.pretrained, dataset, train, shares, progress)
    return (*notes, "The head is new: pre-training's own was put away (new_head).")


def _pretrained(
    plans: Blueprint, recipe: Pretraining, dataset: Dataset, train: Examples, shares: Shares, progress: TrainingProgress | None
) -> None:
    identity = {
        "model": plans.scenario.model.to_plain(),
        "lite_residual": any(layer.section == "lite_residual" for layer in plans.summary.layers),
        "data": dataset.identity,
        "classes": plans.facts.classes,
        "seed": plans.scenario.seed,
        "precision": plans.scenario.training.precision,
    }
    if _is_pinned(plans.scenario.model):
        pretrained_values(plans.network, identity, lambda: _pretrain(plans, train, shares, recipe, progress))
    else:
        _pretrain(plans, train, shares, recipe, progress)


def _is_pinned(model: Model) -> bool:
    """Whether what a scenario says of its model tells it from all others; own code may change while its name stays."""
    return model.sha256 is not None if isinstance(model, PythonNetwork) else not isinstance(model, GivenNetwork)


def _pretrain(plans: Blueprint, train: Examples, shares: Shares, recipe: Pretraining, progress: TrainingProgress | None) -> None:
    # a network of one's own may drop out neurons
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plans.streams.integer("pretraining", "noise"))
        pretrain(plans.network, train, shares, recipe, plans.streams, progress)


def check(scenario: Scenario, *, allow_code: bool = False) -> list[str]:
    """Checks what can be checked without training, and returns warnings, one sentence each.

    Raises what `blueprint` raises, and InfeasibleError as `prepare` does.
    """
    plans = blueprint(scenario, allow_code=allow_code)
    if scenario.training.batch_size == "all":
        dataset = scenario.data.load(plans.streams)
        parts = _split(plans, dataset, shares_of(dataset, scenario.model.pretrained, plans.streams))
    else:
        parts = [np.arange(0) for _ in plans.fleet]
    participants = _participants(plans, parts)
    decide(scenario, participants)
    return _warnings(plans, participants)


def _warnings(plans: Blueprint, participants: list[Participant]) -> list[str]:
    warnings = []
    trained = plans.plan.trainable_elements(plans.summary)
    if plans.scenario.model.pretrained is None and trained < plans.summary.parameter_elements:
        warnings.append(
            f"update {plans.plan.scheme} freezes {1 - trained / plans.summary.parameter_elements:.0%} of a network with random values: "
            "what is frozen knows nothing; add model.pretrained, for example {steps: 300}"
        )
    excluded = sum(not participant.fits for participant in participants)
    if excluded:
        warnings.append(f"training does not fit {excluded} of {len(participants)} devices; they are left out (on_out_of_memory: exclude)")
    return warnings
