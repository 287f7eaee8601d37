"""Who takes part and who trains what: every device with its data, its update and what training takes of its memory.

A device trains the first of the scenario's candidates that fits its memory and its time. What becomes of a device that none
fits, the scenario says (`on_out_of_memory`); infeasible work ends here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import Final

from fedtiny.blueprint import Blueprint, Candidate, memory_on, training_ledger
from fedtiny.costs.compute import step_seconds
from fedtiny.costs.paging import paged_bytes, paging_seconds
from fedtiny.costs.step import step_cost
from fedtiny.design.automatic import Choice, Needs, Offer, choose, size_text
from fedtiny.errors import InfeasibleError, ScenarioError
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.population import Population
from fedtiny.results.record import MemoryNeed
from fedtiny.scenario.choices import FAMILIES
from fedtiny.scenario.schema import Scenario
from fedtiny.training.batches import Batches
from fedtiny.training.pace import EQUAL, Pace, paces
from fedtiny.updates.automatic import Automatic
from fedtiny.updates.plan import UpdatePlan

LedgerOf = Callable[[int, int], Needs]
"""(place of a candidate, batch size) -> what training takes of the memory."""


@dataclass(frozen=True)
class Participant:
    """One device: its share of the data, what it trains and what that takes of its memory.

    Where nothing fits the device, `candidate` and `ledger` are those that need the least memory.
    """

    traits: Traits
    batches: Batches
    ledger: Needs
    candidate: Candidate
    fits: bool
    """Whether training fits the device's memory and time."""
    reason: str
    """Why it trains this, or nothing."""
    downgraded: bool = False
    """Whether it trains something cheaper than the scenario states."""

    @property
    def plan(self) -> UpdatePlan:
        """What the device trains."""
        return self.candidate.plan


def assigned(
    plans: Blueprint, batches: Sequence[Batches], devices: Sequence[Traits] | None = None, known: LedgerOf | None = None
) -> list[Participant]:
    """Devices with what they train: all of the fleet, or those given; `batches` are their own, in the same order. `known` gives ledgers."""
    ledger = known or cache(lambda place, batch_size: training_ledger(plans, plans.candidates[place].plan, batch_size))
    choices: dict[tuple[int, float, float, int], Choice] = {}
    result = []
    for device, own in zip(plans.fleet if devices is None else devices, batches, strict=True):
        # devices of one group are alike but for their connection, those of a population in memory and speed too
        key = (device.group, device.device.memory, device.speed, own.batch_size)
        if key not in choices:
            choices[key] = _choice(plans, device, [ledger(place, own.batch_size) for place in range(len(plans.candidates))], own)
        choice = choices[key]
        candidate = plans.candidates[choice.place]
        downgraded = choice.fits and not isinstance(plans.scenario.update, Automatic) and candidate.update != plans.scenario.update
        reason = "; ".join([*(f"{kind} would be the choice of no device" for kind in plans.given_up), choice.reason])
        result.append(Participant(device, own, choice.offer.needs, candidate, choice.fits, reason, downgraded))
    return result


def _choice(plans: Blueprint, device: Traits, ledgers: Sequence[Needs], batches: Batches) -> Choice:
    scenario = plans.scenario
    offers = [_offer(plans, device, candidate, ledger, batches) for candidate, ledger in zip(plans.candidates, ledgers, strict=True)]
    round_time = scenario.update.round_time if isinstance(scenario.update, Automatic) else None
    return choose(offers, device.device.memory, round_time)


def _offer(plans: Blueprint, traits: Traits, candidate: Candidate, ledger: Needs, batches: Batches) -> Offer:
    device = traits.device
    computing = step_seconds(plans.summary, candidate.plan, batches.batch_size, device) / traits.speed
    seconds, paged = computing + paging_seconds(ledger.total_bytes, device), paged_bytes(ledger.total_bytes, device)
    return Offer(candidate.plan, ledger, plans.scenario.training.local_steps * seconds, paged)


def is_mixed(participants: Sequence[Participant]) -> bool:
    """Whether those who take part train different things."""
    return len({participant.plan for participant in participants if participant.fits}) > 1


def paces_of(plans: Blueprint, counted: Sequence[tuple[Participant, int]]) -> list[Pace]:
    """The pace of every device, by `training.pace`; `counted`: devices, and how many are like each. Those that train nothing count for
    nothing."""
    wanted = plans.scenario.training.pace
    if wanted == "equal":
        return [EQUAL] * len(counted)
    return paces([(_step_seconds(plans, own), count * own.fits) for own, count in counted], normalized=wanted == "by_speed_normalized")


def _step_seconds(plans: Blueprint, own: Participant) -> float:
    batch_size, device = min(own.batches.batch_size, len(own.batches.indices)), own.traits.device
    return (
        step_cost(plans.summary, own.plan, batch_size, device, memory_on(plans, own.plan, batch_size, device)).at(own.traits.speed).seconds
    )


def paces_by_number(plans: Blueprint, participants: Sequence[Participant]) -> dict[int, Pace]:
    """The pace of every device of a fleet, by its number."""
    found = paces_of(plans, [(participant, 1) for participant in participants])
    return {participant.traits.number: pace for participant, pace in zip(participants, found, strict=True)}


def decide(scenario: Scenario, participants: list[Participant]) -> None:
    """Raises InfeasibleError where the scenario says that what does not fit ends the run, and ScenarioError where its strategy
    cannot combine what the devices train."""
    decide_counted(scenario, [(participant, 1) for participant in participants])


def decide_counted(scenario: Scenario, counted: Sequence[tuple[Participant, int]]) -> None:
    """As `decide`, of (a device, how many devices are like it)."""
    participants = [participant for participant, _ in counted]
    excluded = [participant for participant in participants if not participant.fits]
    devices, left = sum(count for _, count in counted), sum(count for participant, count in counted if participant.fits)
    if excluded and (scenario.on_out_of_memory == "fail" or not left):
        raise _does_not_fit(scenario, excluded[0], everybody=not left)
    wanted = scenario.strategy.wanted_nodes
    if left < wanted:
        raise InfeasibleError(
            f"the strategy waits for {wanted} devices, but training fits {left} of {devices}: lower min_available_nodes "
            "and min_train_nodes, or what training takes (fedtiny memory)",
            ("strategy",),
        )
    if is_mixed(participants) and not scenario.strategy.combines_parts:
        able = ", ".join(part.model_fields["kind"].default for part in FAMILIES["strategies"] if getattr(part, "combines_parts", False))
        raise ScenarioError(
            f"{scenario.strategy.kind} combines devices that all train the same, but these train {_schemes(participants)}: "
            f"use a strategy that can combine them ({able}), or one update that fits every device",
            ("strategy",),
        )


def _schemes(participants: Sequence[Participant]) -> str:
    return ", ".join(dict.fromkeys(participant.plan.scheme for participant in participants if participant.fits))


def _does_not_fit(scenario: Scenario, first: Participant, *, everybody: bool) -> InfeasibleError:
    ledger, device = first.ledger, first.traits.device
    path = ("fleet",) if isinstance(scenario.fleet, Population) else ("fleet", first.traits.group)
    remedy = "" if everybody else ", or set on_out_of_memory: exclude or downgrade"
    if ledger.total_bytes <= device.memory:
        return InfeasibleError(
            f"{device.name} trains nothing within update.round_time: {first.reason}: allow more time, lower training.local_steps or "
            f"training.batch_size, or add cheaper candidates{remedy}",
            path,
        )
    largest, size = max(ledger.items.items(), key=lambda item: item[1])
    everywhere = "; no device of the fleet has enough" if everybody else ""
    if len(first.reason.split("; ")) > 1:
        leave_out = "" if everybody else ", or set on_out_of_memory: exclude, which leaves such devices out"
        return InfeasibleError(
            f"nothing that {device.name} may train fits its {size_text(device.memory)}: {first.reason}{everywhere}: lower "
            f"training.batch_size or data.image_size, or take a smaller model{leave_out}",
            path,
        )
    return InfeasibleError(
        f"training needs {size_text(ledger.total_bytes)} but {device.name} offers {size_text(device.memory)}"
        f"{everywhere}; {largest.replace('_', ' ')} take {size_text(size)}: "
        "lower training.batch_size or data.image_size, take a cheaper update (last, bias, tinytl; automatic chooses for every device) or a "
        f"smaller model{remedy}",
        path,
    )


def memory_needs(participants: Sequence[Participant]) -> list[MemoryNeed]:
    """What training takes, against the budget, one entry per entry of the fleet (its most demanding device)."""
    needs: dict[int, MemoryNeed] = {}
    for participant in participants:
        device, ledger = participant.traits, participant.ledger
        if device.group in needs and needs[device.group]["total_bytes"] >= ledger.total_bytes:
            continue
        needs[device.group] = MemoryNeed(
            profile=device.device.name,
            group=device.group,
            scheme=participant.plan.scheme,
            budget=int(device.device.memory),
            total_bytes=ledger.total_bytes,
            items=dict(ledger.items),
            fits=participant.fits,
            paged_bytes=paged_bytes(ledger.total_bytes, device.device) if participant.fits else 0,
        )
    return [needs[group] for group in sorted(needs)]


def paging_sentences(counted: Sequence[tuple[Participant, int]]) -> list[str]:
    """One sentence for each group that pages, such as "3 x raspberry_pi_zero_2w page: full needs 420 MB of 300 MB, so 120 MB go to storage
    and back in every step, which takes 7.5 s of it"; `counted`: devices, and how many are like each."""
    found: dict[int, tuple[Participant, int]] = {}
    for own, count in counted:
        if own.fits and paged_bytes(own.ledger.total_bytes, own.traits.device):
            first, before = found.get(own.traits.group, (own, 0))
            found[own.traits.group] = (max(first, own, key=lambda one: one.ledger.total_bytes), before + count)
    return [_paging_sentence(own, count) for _, (own, count) in sorted(found.items())]


def _paging_sentence(own: Participant, count: int) -> str:
    device, needed = own.traits.device, own.ledger.total_bytes
    return (
        f"{count} x {device.name} {'page' if count > 1 else 'pages'}: {own.plan.scheme} needs {size_text(needed)} of "
        f"{size_text(device.memory)}, so {size_text(paged_bytes(needed, device))} go to storage and back in every step, which takes "
        f"{paging_seconds(needed, device):.3g} s of it (device: {{paging: false}} makes that out of memory)"
    )


_MOST_LINES: Final = 20


def who_trains_what(counted: Sequence[tuple[Participant, int]]) -> list[str]:
    """One sentence for each device class and update, such as "3 x stm32h743 (512 kB): full needs 1 MB of 512 kB; bias fits with
    0.4 MB"; at most twenty. `counted`: devices, and how many are like each."""
    lines = list(_lines(counted))
    return lines if len(lines) <= _MOST_LINES else [*lines[:_MOST_LINES], f"... and {len(lines) - _MOST_LINES} more"]


def _lines(counted: Sequence[tuple[Participant, int]]) -> Iterator[str]:
    def key(item: tuple[Participant, int]) -> tuple[int, str]:
        return item[0].traits.group, item[0].reason

    for _, members in groupby(sorted(counted, key=key), key=key):
        alike = list(members)
        one = alike[0][0]
        left_out = "" if one.fits else "; left out"
        number = sum(count for _, count in alike)
        budgets = sorted({other.traits.device.memory for other, _ in alike})
        memory = " to ".join(size_text(budget) for budget in dict.fromkeys((budgets[0], budgets[-1])))
        yield f"{number} x {one.traits.device.name} ({memory}): {one.reason}{left_out}"
