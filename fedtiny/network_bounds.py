"""What a fleet allows a network to take, and what a network of a search space takes of it: in the words of the run that follows.

Memory is that of the scenario's ledger, with what the strategy keeps on the device; times and energies are those of the devices' profiles
(of a population, the median device of each class). Where devices choose among updates, a network has to fit the first of them, the best,
on every device: that the others fit is no reason to search. Devices that page have no limit of memory, unless the scenario states one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from torch import nn

from fedtiny.blueprint import Blueprint, training_ledger
from fedtiny.costs.compute import step_seconds
from fedtiny.costs.energy import compute_energy
from fedtiny.costs.ledger import Ledger
from fedtiny.costs.memory import MemoryLedger
from fedtiny.design.architecture_constraints import Bound, Constraints, Costs
from fedtiny.design.automatic import Needs
from fedtiny.design.design_settings import Limits
from fedtiny.design.supernet import empty_network
from fedtiny.errors import ScenarioError
from fedtiny.fleet.device import DeviceProfile
from fedtiny.models.elastic_space import ElasticSpace, SubNetwork
from fedtiny.models.measure import summarize
from fedtiny.models.mobile_network import MobileNetwork
from fedtiny.models.summary import ModelSummary
from fedtiny.updates.plan import UpdatePlan

_MEMORY, _STEP, _INFERENCE, _ENERGY = "training memory", "time of a step", "time of an inference", "energy of a step"
_LESS_MEMORY = "lower training.batch_size, take a cheaper update or smaller widths and resolutions, or set design.limits.training_memory"
_LESS_WORK = "allow more, or smaller widths, resolutions and depths"
_NOTHING_TRAINS = UpdatePlan("inference", (), requires_backward=False)


@dataclass(frozen=True)
class DeviceNeeds:
    """What training a network takes on one kind of device."""

    name: str
    device: DeviceProfile
    update: str
    """What it trains: of several updates the first that fits, else the one that needs least."""
    ledger: Needs
    step_seconds: float
    inference_seconds: float
    step_energy: float | None
    """Joules; None where the device's power is not known."""


def constraints_of(plans: Blueprint, limits: Limits, space: ElasticSpace) -> Constraints:
    """The bounds of a space's networks on a fleet. Raises ScenarioError where the scenario does not say what they depend on."""
    batch_size = plans.scenario.training.batch_size
    if batch_size == "all":
        raise ScenarioError("what training takes depends on the batch: state a number of examples", ("training", "batch_size"))
    bounds = tuple(_bounds(plans, limits))

    def price(choice: SubNetwork) -> Costs:
        network = network_for(plans, space, choice)
        summary = facts_of(plans, network, choice.resolution)
        needs = needs_of(replace(plans, candidates=plans.candidates[:1]), network, summary, limits)
        amounts = {"flash": summary.parameter_elements * limits.weight_bits / 8}
        for one in needs:
            amounts |= _amounts(one)
        return Costs(summary.forward_macs, summary.parameter_elements, {bound.name: amounts[bound.name] for bound in bounds})

    return Constraints(space, bounds, price)


def network_for(plans: Blueprint, space: ElasticSpace, choice: SubNetwork) -> MobileNetwork:
    """A network of the space without values, with lite residual modules where the (best) update trains them."""
    lite = plans.candidates[0].update.trains_lite_residual
    return empty_network(space, choice, plans.summary.input_shape[0], plans.facts.classes, lite_residual=lite)


def facts_of(plans: Blueprint, network: MobileNetwork, resolution: int) -> ModelSummary:
    """What costs are computed from, for square images of so many pixels a side."""
    return summarize(network, "design", (plans.summary.input_shape[0], resolution, resolution), plans.facts.classes)


def needs_of(plans: Blueprint, network: nn.Module, summary: ModelSummary, limits: Limits) -> list[DeviceNeeds]:
    """What training a network takes on each kind of device of the fleet."""
    own = replace(plans, network=network, summary=summary)
    batch_size = plans.scenario.training.batch_size
    assert batch_size != "all", "constraints_of refuses it"
    plans_of = [candidate.update.plan(summary) for candidate in plans.candidates]
    offers = [(plan, training_ledger(own, plan, batch_size)) for plan in plans_of]
    return [_on(name, device, offers, summary, batch_size, _most_memory(device, limits)) for name, device in devices_of(plans).items()]


def devices_of(plans: Blueprint) -> dict[str, DeviceProfile]:
    """Every kind of device of the fleet by its name; devices of one name that differ are numbered."""
    found: dict[str, DeviceProfile] = {}
    for group in plans.fleet.groups:
        if group.device not in found.values():
            alike = sum(device.name == group.device.name for device in found.values())
            found[f"{group.device.name} #{alike + 1}" if alike else group.device.name] = group.device
    return found


def ledger_items(ledger: Needs) -> Mapping[str, int]:
    """The items of a ledger that are not nothing, in bytes."""
    found = ledger.ledger if isinstance(ledger, MemoryLedger) else ledger
    assert isinstance(found, Ledger)
    return {name: amount for name, amount in found.items.items() if amount}


def _on(
    name: str, device: DeviceProfile, offers: list[tuple[UpdatePlan, Needs]], summary: ModelSummary, batch_size: int, most: float | None
) -> DeviceNeeds:
    fitting = [offer for offer in offers if most is None or offer[1].total_bytes <= most]
    plan, ledger = fitting[0] if fitting else min(offers, key=lambda offer: offer[1].total_bytes)
    step = step_seconds(summary, plan, batch_size, device)
    forward = step_seconds(summary, _NOTHING_TRAINS, 1, device)
    return DeviceNeeds(name, device, plan.scheme, ledger, step, forward, compute_energy(device.power, step))


def _most_memory(device: DeviceProfile, limits: Limits) -> float | None:
    own = None if device.paging is not None else float(device.memory)
    return min((limit for limit in (own, limits.training_memory) if limit is not None), default=None)


def _bounds(plans: Blueprint, limits: Limits) -> Iterator[Bound]:
    if limits.flash is not None:
        yield Bound("flash", limits.flash, "B", "allow more, or lower weight_bits, widths or expansions")
    for name, device in devices_of(plans).items():
        memory = _most_memory(device, limits)
        if memory is not None:
            yield Bound(f"{_MEMORY} on {name}", memory, "B", _LESS_MEMORY)
        if limits.step_time is not None:
            yield Bound(f"{_STEP} on {name}", limits.step_time, "s", _LESS_WORK)
        if limits.inference_time is not None:
            yield Bound(f"{_INFERENCE} on {name}", limits.inference_time, "s", _LESS_WORK)
        if limits.step_energy is not None:
            if device.power is None:
                raise ScenarioError(f"the power of {name} is not known: leave out step_energy", ("design", "limits", "step_energy"))
            yield Bound(f"{_ENERGY} on {name}", limits.step_energy, "J", _LESS_WORK)


def _amounts(needs: DeviceNeeds) -> dict[str, float]:
    return {
        f"{_MEMORY} on {needs.name}": needs.ledger.total_bytes,
        f"{_STEP} on {needs.name}": needs.step_seconds,
        f"{_INFERENCE} on {needs.name}": needs.inference_seconds,
        f"{_ENERGY} on {needs.name}": needs.step_energy or 0.0,
    }
