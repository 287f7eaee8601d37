"""What a scenario needs before time 0: the network, its data, what trains on which device, and whether it fits.

Infeasible work ends here, before it starts. `check` needs no data and answers in the time torch takes to load; `prepare` adds
the data, the clients' shares and the pre-trained values.

Devices of a mixed fleet train different elements of one network. Then the flat vector of the network holds everything that any of
them trains, and each device knows its own elements in it (docs/decisions/0008-mixed-fleets.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fedtiny.blueprint import Blueprint, blueprint
from fedtiny.datasets.base import Dataset
from fedtiny.design.pretraining import Shares, pretrain, pretrained_values, public_examples, shares_of
from fedtiny.design.quantization import calibration_inputs, quantize
from fedtiny.design.transfer import adopt, put_back, tensors_of, transfer
from fedtiny.design.weight_codebook import compress_frozen_weights
from fedtiny.device_classes import timed_fleet
from fedtiny.enrolment import OwnParts, Participants, decided, enrol, split
from fedtiny.errors import ScenarioError
from fedtiny.fleet.population import Population
from fedtiny.models.base import IMAGENET, Model, Pretraining
from fedtiny.models.checkpoint import Checkpoint
from fedtiny.models.given_network import GivenNetwork
from fedtiny.models.mobile_model import MobileModel
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.quantization import DEFAULT, Int8
from fedtiny.models.quantized_network import QuantizedMobileNetwork
from fedtiny.participation import Participant, is_mixed, paging_sentences, who_trains_what
from fedtiny.scenario.schema import Scenario
from fedtiny.training.cohort_rules import Cohort, can_be_vectorised, cohort_for
from fedtiny.training.local import Examples, FlatNetwork, dtype_of
from fedtiny.training.one_thread import one_thread
from fedtiny.updates.layout import Layout, OwnElements, layout_of, own_elements, union

TrainingProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class World:
    """All that exists at time 0."""

    blueprint: Blueprint
    flat: FlatNetwork
    cohort: Cohort
    """How clients are trained; the scenario in `blueprint` states it."""
    train: Examples
    test: Examples
    participants: Participants
    """Every device of the fleet, by its number; of a population they are made when they are asked for."""
    source: str
    parts: Mapping[int, OwnElements] | None = None
    """In a mixed fleet, by device number, what each device that takes part trains of the flat vector."""
    notes: tuple[str, ...] = ()
    """Sentences on where the initial values come from, for the report."""

    @property
    def included(self) -> Sequence[Participant]:
        """The devices that take part."""
        return self.participants.included


@one_thread()
def prepare(scenario: Scenario, *, allow_code: bool = False, progress: TrainingProgress | None = None) -> World:
    """Loads the data, spreads it over the devices, decides who can train, and pre-trains the network.

    Raises InfeasibleError, with the fleet entry as its path, if training does not fit and `on_out_of_memory` is fail, or
    if it fits nobody.
    """
    plans = blueprint(scenario, allow_code=allow_code)
    dataset = scenario.data.load(plans.streams)
    shares = shares_of(dataset, scenario.model, plans.streams)
    plans, participants = enrol(plans, dataset, shares, allow_code=allow_code)
    dtype = dtype_of(scenario.training.precision)
    train = _examples(dataset.train_inputs, dataset.train_targets, dtype)
    notes = _initial_values(plans, dataset, train, shares, progress)
    layout, parts = _layouts(plans, participants)
    if scenario.training.frozen_weights == "codebook":
        frozen = compress_frozen_weights(plans.network, plans.summary, layout.names, plans.streams)
        notes = (*notes, f"The weights of {len(frozen)} layers that nobody trains are kept in codebooks of 256 values.")
    flat = FlatNetwork(plans.network, layout, _quantization(scenario.model) or DEFAULT)
    cohort = _cohort(plans, participants, flat)
    return World(
        blueprint=replace(plans, scenario=_stating(plans.scenario, cohort)),
        flat=flat,
        cohort=cohort,
        train=train,
        test=_examples(dataset.test_inputs, dataset.test_targets, dtype),
        participants=participants,
        source=dataset.source,
        parts=parts,
        notes=(*notes, *_notes_on_integers(plans)),
    )


def _cohort(plans: Blueprint, participants: Participants, flat: FlatNetwork) -> Cohort:
    """How clients are trained: as the scenario states it, else by the fixed rule. Raises ScenarioError for what cannot be."""
    wanted, own_code = plans.scenario.training.cohort, isinstance(plans.scenario.model, PythonNetwork | GivenNetwork)
    if wanted is None:
        return cohort_for(flat, plans.summary, participants.largest_batch, own_code=own_code)
    if wanted.execution == "vectorised" and (own_code or not can_be_vectorised(flat)):
        raise ScenarioError(
            f"clients of {plans.summary.model} with this update cannot be trained in one pass: a layer that trains has no form for many "
            "clients, or the network mixes examples, drops neurons, is of integers or of your own code: use execution: loop",
            ("training", "cohort", "execution"),
        )
    return wanted


def _stating(scenario: Scenario, cohort: Cohort) -> Scenario:
    return scenario.model_copy(update={"training": scenario.training.model_copy(update={"cohort": cohort})})


def _layouts(plans: Blueprint, participants: Participants) -> tuple[Layout, Mapping[int, OwnElements] | None]:
    """The layout of everything that anybody trains, and who trains what of it where that differs."""
    values = {name: parameter.numpy(force=True) for name, parameter in plans.network.named_parameters()}
    included = dict.fromkeys(participant.plan for participant, _ in participants.counted if participant.fits)
    layouts = {plan: layout_of(plan, plans.summary, values) for plan in included}
    if len(layouts) == 1:
        return next(iter(layouts.values())), None
    shared = union(layouts.values(), [parameter.name for parameter in plans.summary.parameters])
    return shared, OwnParts(participants, {plan: own_elements(layout, shared) for plan, layout in layouts.items()})


def _examples(inputs: np.ndarray, targets: np.ndarray, dtype: torch.dtype) -> Examples:
    values = torch.from_numpy(np.ascontiguousarray(targets))
    return Examples(torch.from_numpy(np.ascontiguousarray(inputs)).to(dtype), values.to(dtype) if values.is_floating_point() else values)


def _initial_values(
    plans: Blueprint, dataset: Dataset, train: Examples, shares: Shares, progress: TrainingProgress | None
) -> tuple[str, ...]:
    model, network = plans.scenario.model, plans.network
    if isinstance(model.pretrained, str):
        return transfer(network, plans.summary, model.pretrained)
    if isinstance(model, Checkpoint):
        notes = ("The network and its values are those of a checkpoint.", *adopt(network, plans.summary, model.values(), model.path))
    else:
        notes = transfer(network, plans.summary, IMAGENET) if model.pretrained and model.has_imagenet_weights else ()
    if model.pretrained is None:
        return notes
    if not model.pretrained.new_head:
        _pretrained(plans, model.pretrained, dataset, train, shares, progress)
        return notes
    with put_back(network, tensors_of(plans.summary, "head")):
        _pretrained(plans, model.pretrained, dataset, train, shares, progress)
    return (*notes, "The head is new: pre-training's own was put away (new_head).")


def _pretrained(
    plans: Blueprint, recipe: Pretraining, dataset: Dataset, train: Examples, shares: Shares, progress: TrainingProgress | None
) -> None:
    model, network = plans.scenario.model, plans.network
    quantization = _quantization(model)
    if isinstance(network, QuantizedMobileNetwork) and quantization is not None:
        real = _in_real_numbers(plans)
        _pretrained(real, recipe, dataset, train, shares, progress)
        chosen = public_examples(train, shares, recipe)
        quantize(real.network, network, calibration_inputs(train, chosen, quantization, plans.streams))
        return
    identity = {
        "model": model.to_plain(),
        "lite_residual": any(layer.section == "lite_residual" for layer in plans.summary.layers),
        "data": dataset.identity,
        "classes": plans.facts.classes,
        "seed": plans.scenario.seed,
        "precision": plans.scenario.training.precision,
    }
    if _is_pinned(model):
        pretrained_values(network, identity, lambda: _pretrain(plans, train, shares, recipe, progress))
    else:
        _pretrain(plans, train, shares, recipe, progress)


def _notes_on_integers(plans: Blueprint) -> tuple[str, ...]:
    if not isinstance(plans.network, QuantizedMobileNetwork):
        return ()
    bits = 64 if plans.scenario.training.precision == "float64" else 32
    return (
        f"The network computes in int8, but virtual time is that of the devices' usual rates, and messages carry {bits} bits for every "
        "value: the speed of int8 and its smaller messages are not modelled.",
    )


def _quantization(model: Model) -> Int8 | None:
    return model.quantization if isinstance(model, MobileModel) else None


def _in_real_numbers(plans: Blueprint) -> Blueprint:
    """The same with the folded network that an int8 network is made from."""
    real = plans.scenario.model.model_copy(update={"quantization": None})
    generator = torch.Generator().manual_seed(plans.streams.integer("model", "initial"))
    network = real.build(plans.summary.input_shape, plans.facts.classes, lite_residual=False, generator=generator)
    scenario = plans.scenario.model_copy(update={"model": real})
    return replace(plans, scenario=scenario, network=network.to(dtype_of(scenario.training.precision)))


def _is_pinned(model: Model) -> bool:
    """Whether what a scenario says of its model tells it from all others; own code may change while its name stays."""
    return model.sha256 is not None if isinstance(model, PythonNetwork) else not isinstance(model, GivenNetwork)


def _pretrain(plans: Blueprint, train: Examples, shares: Shares, recipe: Pretraining, progress: TrainingProgress | None) -> None:
    # a network of one's own may drop out neurons
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plans.streams.integer("pretraining", "noise"))
        pretrain(plans.network, train, shares, recipe, plans.streams, progress)


@dataclass(frozen=True)
class Checked:
    """What a check finds: one sentence for each device class on what it trains, and warnings."""

    trains: list[str]
    warnings: list[str]

    @property
    def sentences(self) -> list[tuple[str, bool]]:
        """All of them, and whether each is a warning."""
        return [(line, False) for line in self.trains] + [(f"warning: {warning}", True) for warning in self.warnings]


def check(scenario: Scenario, *, allow_code: bool = False) -> Checked:
    """Checks what can be checked without training.

    Raises what `blueprint` raises, and InfeasibleError and ScenarioError as `prepare` does.
    """
    if scenario.learning == "none" or isinstance(scenario.fleet, Population):
        timed = timed_fleet(scenario, allow_code=allow_code)
        return _checked(timed.blueprint, [(item.one, item.count) for item in timed.classes])
    plans = blueprint(scenario, allow_code=allow_code)
    if scenario.training.batch_size == "all":
        dataset = scenario.data.load(plans.streams)
        parts = split(plans, dataset, shares_of(dataset, scenario.model, plans.streams))
    else:
        parts = [np.arange(0) for _ in plans.fleet]
    plans, participants = decided(plans, parts, allow_code=allow_code)
    return _checked(plans, participants.counted)


def _checked(plans: Blueprint, counted: list[tuple[Participant, int]]) -> Checked:
    return Checked(who_trains_what(counted), _warnings(plans, counted))


def _warnings(plans: Blueprint, counted: list[tuple[Participant, int]]) -> list[str]:
    warnings, participants = [], [participant for participant, _ in counted]
    total = plans.summary.parameter_elements
    for plan in dict.fromkeys(participant.plan for participant in participants if participant.fits):
        trained = plan.trainable_elements(plans.summary)
        if (
            plans.scenario.learning == "real"
            and plans.scenario.model.pretrained is None
            and not plans.scenario.model.has_values
            and trained < total
        ):
            warnings.append(
                f"update {plan.scheme} freezes {1 - trained / total:.0%} of a network with random values: "
                "what is frozen knows nothing; add model.pretrained, for example {steps: 300}"
            )
    if is_mixed(participants):
        warnings.append(
            "devices train different updates at one learning rate, and what suits biases can make a full update diverge: where accuracy "
            "falls, lower training.optimizer.learning_rate"
        )
    warnings += paging_sentences(counted)
    excluded = sum(count for participant, count in counted if not participant.fits)
    if excluded:
        warnings.append(
            f"training does not fit {excluded} of {sum(count for _, count in counted)} devices; they are left out "
            f"(on_out_of_memory: {plans.scenario.on_out_of_memory})"
        )
    return warnings
