"""From "these devices, this data" to a network that fits them: what `fedtiny design` does.

    choose the space -> train its supernet -> evolve within the fleet's bounds -> pre-train the network found -> checkpoint

All learning is on the public share of the data (model.pretrained), which no client holds; networks are compared on a part of it that the
supernet did not learn from, and the test set is looked at for the report alone. The supernet and the pre-trained values are cached by
their content, so that a design that was interrupted goes on where it was, and the same design again takes only as long as its search.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from fedtiny.blueprint import Blueprint, blueprint
from fedtiny.datasets.base import Dataset
from fedtiny.design.architecture_constraints import Constraints
from fedtiny.design.architecture_search import Searched, SpaceSample, choose_space, evolve, sample_space
from fedtiny.design.design_settings import Design
from fedtiny.design.pretraining import Shares, pretrain, pretrained_values, public_examples, shares_of
from fedtiny.design.supernet import Supernet, accuracy, share_right, supernet, train_supernet
from fedtiny.design.transfer import adopt, put_back, tensors_of
from fedtiny.errors import DataError, ScenarioError
from fedtiny.models.base import Pretraining
from fedtiny.models.elastic_space import SubNetwork
from fedtiny.models.initialization import initialize
from fedtiny.models.mobile_network import MobileNetwork
from fedtiny.network_bounds import DeviceNeeds, constraints_of, facts_of, needs_of, network_for
from fedtiny.progress import Progress, Report
from fedtiny.scenario.schema import Scenario
from fedtiny.training.local import Examples
from fedtiny.training.one_thread import one_thread

_FORMAT: Final = 1
"""Raised whenever a stage computes something else, so that old cache entries are not used."""


@dataclass(frozen=True)
class Stage:
    """A stage of making the network, and what it then tells right."""

    name: str
    accuracy: float
    """On the test set."""
    note: str


@dataclass(frozen=True)
class FoundNetwork:
    """What a design ends with."""

    plans: Blueprint
    """Of the scenario, with its own model."""
    samples: tuple[SpaceSample, ...]
    chosen: int
    """The place of the space that was searched among the samples."""
    searched: Searched
    constraints: Constraints
    choice: SubNetwork
    network: MobileNetwork
    stages: tuple[Stage, ...]
    needs: tuple[DeviceNeeds, ...]
    own_needs: tuple[DeviceNeeds, ...]
    """What the scenario's own model would take."""

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's inputs."""
        return (self.plans.summary.input_shape[0], self.choice.resolution, self.choice.resolution)


@dataclass(frozen=True)
class _Public:
    """The server's own examples, at the resolution of the space."""

    dataset: Dataset
    shares: Shares
    everything: Examples
    learning: Examples
    validation: Examples
    test: Examples


@one_thread()
def design(scenario: Scenario, progress: Report | None = None) -> FoundNetwork:
    """Finds and pre-trains a network for a scenario's devices.

    Raises ScenarioError where the scenario does not say what is needed, and InfeasibleError where no network fits.
    """
    settings, recipe = _settings(scenario)
    plans = blueprint(scenario)
    if len(plans.facts.input_shape) != 3 or not plans.facts.categorical:
        raise ScenarioError(f"design looks for networks that tell images apart, and {plans.facts.name} has none, or no classes", ("data",))
    tell = progress or (lambda _: None)
    spaces, samples = _sampled(plans, settings, tell)
    chosen = choose_space(samples, spaces)
    public = _public(plans, settings, recipe, spaces[chosen].space.resolutions[-1])
    made = _supernet(plans, settings, recipe, spaces[chosen], public, tell)
    searched = evolve(
        spaces[chosen],
        lambda choice: accuracy(made, choice, public.validation),
        settings.search,
        plans.streams.numpy("design", "evolution"),
        lambda done, total: tell(Progress("searching", done, total)),
    )
    choice = searched.best.network
    network = network_for(plans, spaces[chosen].space, choice)
    stages = tuple(_pretrained(plans, made, network, choice, recipe, public, tell))
    summary = facts_of(plans, network, choice.resolution)
    needs = needs_of(plans, network, summary, settings.limits)
    own = needs_of(plans, plans.network, plans.summary, settings.limits)
    return FoundNetwork(plans, tuple(samples), chosen, searched, spaces[chosen], choice, network, stages, tuple(needs), tuple(own))


def _settings(scenario: Scenario) -> tuple[Design, Pretraining]:
    if scenario.design is None:
        raise ScenarioError("there is no search space: add `design: {space: {...}}` (docs/design.md)", ("design",))
    if not isinstance(scenario.model.pretrained, Pretraining):
        raise ScenarioError(
            "design pre-trains what it finds on a public share of the data: add model.pretrained, for example {steps: 600, netaug: {}}",
            ("model", "pretrained"),
        )
    return scenario.design, scenario.model.pretrained


def _sampled(plans: Blueprint, settings: Design, tell: Report) -> tuple[list[Constraints], list[SpaceSample]]:
    """The spaces to choose from, and what networks drawn from them are like."""
    pairs = [(width, resolution) for width in sorted(set(settings.widths)) for resolution in settings.space.resolutions]
    spaces, samples = [], []
    for done, (width, resolution) in enumerate(pairs):
        space = settings.space.scaled(width).model_copy(update={"resolutions": (resolution,)})
        constraints = constraints_of(plans, settings.limits, space)
        generator = plans.streams.numpy("design", "space", f"{width:g}", resolution)
        spaces.append(constraints)
        samples.append(sample_space(constraints, width, settings.samples, generator))
        tell(Progress("sampling spaces", done + 1, len(pairs)))
    return spaces, samples


def _public(plans: Blueprint, settings: Design, recipe: Pretraining, resolution: int) -> _Public:
    """The public examples of the recipe's classes, cut into those to learn from and those to compare on."""
    data = plans.scenario.data.model_copy(update={"image_size": resolution})
    dataset = data.load(plans.streams)
    shares = shares_of(dataset, plans.scenario.model, plans.streams)
    everything = _examples(dataset.train_inputs, dataset.train_targets)
    seen = plans.streams.numpy("design", "validation").permutation(public_examples(everything, shares, recipe))
    held = round(settings.validation * len(seen))
    if not 0 < held < len(seen):
        raise DataError(
            f"of {len(seen)} public examples {held} would be held out for validation: raise model.pretrained.share, or change "
            "design.validation"
        )
    learning, validation = (Examples(everything.inputs[part], everything.targets[part]) for part in (seen[held:], seen[:held]))
    return _Public(dataset, shares, everything, learning, validation, _examples(dataset.test_inputs, dataset.test_targets))


def _examples(inputs: np.ndarray, targets: np.ndarray) -> Examples:
    return Examples(torch.from_numpy(np.ascontiguousarray(inputs)).float(), torch.from_numpy(np.ascontiguousarray(targets)))


def _identity(plans: Blueprint, settings: Design, recipe: Pretraining, space: Constraints, public: _Public) -> dict[str, Any]:
    """All that the weights of the supernet depend on."""
    return {
        "design": _FORMAT,
        "space": space.space.to_plain(),
        "supernet": settings.supernet.to_plain(),
        "validation": settings.validation,
        "share": recipe.share,
        "seen": recipe.classes,
        "classes": plans.facts.classes,
        "data": public.dataset.identity,
        "seed": plans.scenario.seed,
    }


def _supernet(plans: Blueprint, settings: Design, recipe: Pretraining, space: Constraints, public: _Public, tell: Report) -> Supernet:
    generator = torch.Generator().manual_seed(plans.streams.integer("supernet", "values"))
    made = supernet(space.space, plans.summary.input_shape[0], plans.facts.classes, generator)

    def train() -> None:
        train_supernet(made, public.learning, settings.supernet, plans.streams, lambda done, total: tell(Progress("supernet", done, total)))

    pretrained_values(made.values, _identity(plans, settings, recipe, space, public), train)
    made.network.eval()
    return made


def _pretrained(
    plans: Blueprint, made: Supernet, network: MobileNetwork, choice: SubNetwork, recipe: Pretraining, public: _Public, tell: Report
) -> list[Stage]:
    """Trains the network found from its shared weights on; what it tells right before and after."""
    summary = facts_of(plans, network, choice.resolution)
    initialize(network, torch.Generator().manual_seed(plans.streams.integer("model", "initial")))
    adopt(network, summary, made.export(choice).state_dict(), "the supernet")
    before = share_right(network.eval(), public.test)

    def show(done: int, total: int) -> None:
        tell(Progress("pre-training", done, total))

    def train() -> None:
        pretrain(network, public.everything, public.shares, recipe, plans.streams, show)

    start = hashlib.sha256(b"".join(value.numpy(force=True).tobytes() for value in network.state_dict().values())).hexdigest()
    identity = {
        "design": _FORMAT,
        "recipe": recipe.to_plain(),
        "start": start,
        "data": public.dataset.identity,
        "seed": plans.scenario.seed,
    }
    head = tensors_of(summary, "head") if recipe.new_head else frozenset()
    with put_back(network, head):
        pretrained_values(network, identity, train)
        after = share_right(network.eval(), public.test)
    how = "inside wider networks (NetAug)" if recipe.netaug is not None else "by itself"
    new = "; its head is new afterwards" if head else ""
    return [
        Stage("found", before, "With the shared weights of the supernet."),
        Stage("pre-trained", after, f"{recipe.steps} steps {how} on the public examples{new}."),
    ]
