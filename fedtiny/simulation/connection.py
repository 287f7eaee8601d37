"""A device's connection: what both of its directions have in common, and what carries the transfers of each.

A plain connection, bytes over a rate, needs nothing of this.
"""

import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.sharing import FREE_SERVER, ServerLink
from fedtiny.simulation.agenda import Agenda
from fedtiny.simulation.carrier import Carrier, OwnCarrier
from fedtiny.simulation.lora_carrier import LoRaCarrier, LoRaChannel
from fedtiny.simulation.presence import Presence
from fedtiny.simulation.radio import Radio, RadioCarrier
from fedtiny.simulation.shared_carrier import SharedCarrier
from fedtiny.simulation.shared_link import SharedLink, shared_link
from fedtiny.simulation.trace import Trace

_KEPT_AS = "fedtiny_server_link"


class Connection:
    """What a device's directions share: its radio, or its channel."""

    __slots__ = ("_agenda", "_channel", "_radio", "_traits")

    def __init__(self, agenda: Agenda, traits: Traits, trace: Trace, presence: Presence | None) -> None:
        self._agenda, self._traits = agenda, traits
        network = traits.network
        states, lora = network.radio_states, network.lora
        self._radio = None if states is None else Radio(agenda, states, traits.number, trace, presence)
        self._channel = None if lora is None else LoRaChannel(agenda, lora)

    @property
    def remembers(self) -> bool:
        """Whether what comes next depends on what was: a radio that is awake, a channel that is closed."""
        if self._radio is not None:
            return not self._radio.asleep
        return self._channel is not None and self._channel.opens > self._agenda.environment.now

    def carrier(self, direction: str) -> Carrier | None:
        """What carries the transfers of this direction (`downlink` or `uplink`); None if that is bytes over a rate."""
        if self._channel is not None:
            return LoRaCarrier(self._channel, up=direction == "uplink")
        day, link = self._traits.network.time_of_day, _shared(self._agenda, self._traits, direction)
        own: Carrier | None = None
        if link is not None:
            own = SharedCarrier(self._agenda, link, day)
        elif day is not None or self._radio is not None:
            own = OwnCarrier(self._agenda, day)
        return own if own is None or self._radio is None else RadioCarrier(self._radio, own)


def connection_of(agenda: Agenda, traits: Traits, trace: Trace, presence: Presence | None = None) -> Connection | None:
    """The connection of a device; None for a plain one."""
    one = traits.network
    plain = one.radio_states is None and one.lora is None and one.time_of_day is None and one.access_point is None
    return None if plain and _KEPT_AS not in vars(agenda.environment) else Connection(agenda, traits, trace, presence)


def place_server(environment: simpy.Environment, server: ServerLink) -> None:
    """All devices of the environment share this connection of the server, if it has a limit."""
    if server != FREE_SERVER:
        vars(environment)[_KEPT_AS] = server


def _shared(agenda: Agenda, traits: Traits, direction: str) -> SharedLink | None:
    """What a device shares with others: the server's link, or that of its access point, or nothing."""
    server: ServerLink | None = vars(agenda.environment).get(_KEPT_AS)
    link = None if server is None else shared_link(agenda, ("server", direction), getattr(server, direction))
    point = traits.network.access_point
    if point is not None:
        place = ("group", traits.group, "access point", traits.index // point.devices, direction)
        link = shared_link(agenda, place, getattr(point, direction)) or link
    return link
