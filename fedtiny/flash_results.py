"""What the rounds of a run wore of the flash of devices that keep the model in one whose erase blocks are known."""

import pyarrow as pa

from fedtiny.costs.flash import blocks_of, endurance_used
from fedtiny.costs.mcu_memory import ACCOUNTING
from fedtiny.participation import Participant
from fedtiny.preparation import World
from fedtiny.results.record import FLASH


def with_flash(devices: pa.Table, world: World) -> pa.Table:
    """The table of devices with what they erased; the table itself where nobody's flash is known."""
    known = [group.device.flash_erase_block is not None for group in world.blueprint.fleet.groups]
    rows = devices.select(["device", "group", "rounds"]).to_pylist() if any(known) else []
    if not any(known[row["group"]] for row in rows):
        return devices
    worn = [_worn(world, row["device"], row["rounds"]) if known[row["group"]] else (None, None) for row in rows]
    for place, column in enumerate(FLASH):
        devices = devices.append_column(column, pa.array([values[place] for values in worn], column.type))
    return devices


def _worn(world: World, number: int, rounds: int) -> tuple[int | None, float | None]:
    """How many blocks a device erased that trained in so many rounds, and the share of their cycles that it used up."""
    participant = world.participants[number]
    device = participant.traits.device
    if device.flash_erase_block is None:
        return None, None
    erased = rounds * blocks_of(_kept_bytes(world, participant), device.flash_erase_block) if rounds else 0
    return erased, None if device.flash_endurance is None else endurance_used(rounds, device.flash_endurance)


def _kept_bytes(world: World, participant: Participant) -> int:
    """Bytes of the weights that a device trains, as it keeps them: in the int8 graph's widths where that is the accounting."""
    plans = world.blueprint
    if plans.scenario.accounting == ACCOUNTING:
        return participant.ledger.items["trainable_parameters"]
    return (8 if plans.scenario.training.precision == "float64" else 4) * participant.plan.trainable_elements(plans.summary)
