"""What the devices of groups with batteries draw: watts and joules per byte, from the costs of one second and of one byte.

The costs are those of the table of activities (recorded_activities.py), so that a battery gives exactly what the table adds up to.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from fedtiny.errors import ScenarioError
from fedtiny.fleet.availability import Leaving
from fedtiny.fleet.battery import WithSession
from fedtiny.fleet.enrolled import AnyFleet
from fedtiny.fleet.fleet import FleetGroup
from fedtiny.recorded_activities import energies
from fedtiny.scenario.schema import Scenario
from fedtiny.simulation.battery_account import Drain
from fedtiny.simulation.trace import DOWNLOAD, IDLE, PROMOTION, TAIL, UPLOAD, WORK

MOST_BATTERIES: Final = 100_000
"""The largest fleet with batteries."""

_KINDS: Final = (IDLE, PROMOTION, TAIL, DOWNLOAD, UPLOAD, *WORK)


def drains(scenario: Scenario, fleet: AnyFleet) -> dict[int, Drain]:
    """What a device of each group with batteries draws, by the group's place.

    Raises ScenarioError where that is not known.
    """
    if not isinstance(scenario.fleet, tuple):
        return {}
    _check(scenario.fleet)
    return {place: _drain(fleet, place) for place, group in enumerate(scenario.fleet) if group.battery is not None}


def _check(groups: Sequence[FleetGroup]) -> None:
    powered = [(place, group.battery) for place, group in enumerate(groups) if group.battery is not None]
    devices = sum(group.count for group in groups)
    if powered and devices > MOST_BATTERIES:
        raise ScenarioError(
            f"every battery of a fleet is followed, and {devices} devices are too many for that: at most {MOST_BATTERIES}, or no battery",
            ("fleet", powered[0][0], "battery"),
        )
    for place, battery in powered:
        if isinstance(battery.charging, WithSession) and not isinstance(groups[place].availability, Leaving):
            raise ScenarioError(
                "charging: {kind: session} follows the sessions of an availability, and these devices never leave: give them an "
                "availability, such as {kind: sessions}, or use charging: {kind: plugged}",
                ("fleet", place, "battery", "charging"),
            )


def _drain(fleet: AnyFleet, place: int) -> Drain:
    group = fleet.groups[place]
    if group.device.power is None:
        raise ScenarioError(
            f"nobody knows what {group.device.name} draws, so nobody knows how long a battery lasts: give it a power, such as "
            "`device: {power: {idle: 1 W, active: 3 W}}` for the whole fleet, or leave out battery",
            ("fleet", place, "battery"),
        )
    count = len(_KINDS)
    costs = energies(fleet, np.full(count, group.first), np.array(_KINDS, np.int8), np.ones(count), np.ones(count))
    cost = dict(zip(_KINDS, costs.tolist(), strict=True))
    if group.network.radio_states is None:
        cost |= {PROMOTION: 0.0, TAIL: 0.0}
    elif np.isnan([cost[PROMOTION], cost[TAIL]]).any():
        raise ScenarioError(
            f"nobody knows what the radio of {group.network.name} draws while it wakes or stays awake: give its radio_states a "
            "promotion_power and a tail_power, or leave out battery",
            ("fleet", place, "battery"),
        )
    per_byte = {kind: cost[kind] for kind in (DOWNLOAD, UPLOAD)}
    return Drain(cost[IDLE], {kind: cost[kind] for kind in WORK}, per_byte, cost[PROMOTION], cost[TAIL])
