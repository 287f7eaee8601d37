"""What the catalog says of a network's radio, each number with where it comes from."""

from typing import final

from fedtiny.fleet.facts import Fact
from fedtiny.parts import Part


@final
class RadioStatesFacts(Part):
    """Where the states of a cellular radio come from; see `fleet.radio_states`."""

    inactivity: Fact
    promotion: Fact
    promotion_power: Fact | None = None
    tail_power: Fact | None = None


@final
class LoRaFacts(Part):
    """Where the settings of a LoRa radio come from; see `fleet.lora`."""

    spreading_factor: Fact
    payload: Fact
    duty_cycle: Fact
    receive_delay: Fact
