"""Who takes part: every device with its data and what training takes of its memory; infeasible work ends here.

A device takes part where training fits its memory. What becomes of the others, the scenario says (`on_out_of_memory`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fedtiny.costs.memory import MemoryLedger
from fedtiny.errors import InfeasibleError
from fedtiny.fleet.fleet import Traits
from fedtiny.results.record import MemoryNeed
from fedtiny.scenario.schema import Scenario
from fedtiny.training.local import Batches


@dataclass(frozen=True)
class Participant:
    """One device: its share of the data and what training takes of its memory."""

    traits: Traits
    batches: Batches
    ledger: MemoryLedger

    @property
    def fits(self) -> bool:
        """Whether training fits the device's memory."""
        return self.ledger.total_bytes <= self.traits.device.memory


def decide(scenario: Scenario, participants: list[Participant]) -> None:
    """Raises InfeasibleError where the scenario says that what does not fit ends the run."""
    excluded = [participant for participant in participants if not participant.fits]
    if not excluded:
        return
    left = len(participants) - len(excluded)
    if scenario.on_out_of_memory == "exclude" and left:
        wanted = scenario.strategy.wanted_nodes
        if left < wanted:
            raise InfeasibleError(
                f"the strategy waits for {wanted} devices, but training fits {left} of {len(participants)}: lower min_available_nodes "
                "and min_train_nodes, or what training takes (fedtiny memory)",
                ("strategy",),
            )
        return
    first = excluded[0]
    needed, ledger = first.ledger.total_bytes, first.ledger
    device = first.traits.device
    largest, size = max(ledger.items.items(), key=lambda item: item[1])
    everybody = "; no device of the fleet has enough" if len(excluded) == len(participants) else ""
    raise InfeasibleError(
        f"training needs {_readable(needed)} but {device.name} offers {_readable(device.memory)}{everybody}; "
        f"{largest.replace('_', ' ')} take {_readable(size)}: lower training.batch_size or data.image_size, take a cheaper update "
        f"(last, bias, tinytl) or a smaller model" + ("" if everybody else ", or set on_out_of_memory: exclude"),
        ("fleet", first.traits.group),
    )


def _readable(size: float) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size:.0f} B"


def memory_needs(participants: Sequence[Participant], scheme: str) -> list[MemoryNeed]:
    """What training takes, against the budget, one entry per entry of the fleet (its most demanding device)."""
    needs: dict[int, MemoryNeed] = {}
    for participant in participants:
        device, ledger = participant.traits, participant.ledger
        if device.group in needs and needs[device.group]["total_bytes"] >= ledger.total_bytes:
            continue
        needs[device.group] = MemoryNeed(
            profile=device.device.name,
            group=device.group,
            scheme=scheme,
            budget=int(device.device.memory),
            total_bytes=ledger.total_bytes,
            items=dict(ledger.items),
            fits=participant.fits,
        )
    return [needs[group] for group in sorted(needs)]
