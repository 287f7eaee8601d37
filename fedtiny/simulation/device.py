"""A device in virtual time: a downlink, a processor and an uplink.

Overlap is not modelled, it follows: the three are separate resources, so a device that was given its next work before
its last reply has left downloads, computes and uploads at once. A device with a `serial` runtime (such as a stock Flower
SuperNode: pull, run, push) does one message at a time from its download to the arrival of its reply. It looks for the next
message as soon as it is done with one, and while there is none every `polling_interval`, first at a moment between 0 and that
interval which is drawn for each device; and it spends `start_up` on each message before its work begins.

A transfer of b bytes occupies a link for ``b / bandwidth`` seconds and arrives ``latency + jitter`` later; latency does
not occupy the link. Messages of one device arrive in the order in which they were sent, whatever the jitter, and the
messages of one burst share one latency draw. A lost message has occupied its link and is sent again one round trip later.
A device that drops out of a round (dropout.py) gets its message and does nothing with it. Work takes longer on a processor that is
hot (heat.py); waiting for storage is an activity of its own, after the work. What becomes of all that when a device leaves is
interruption.py.
What happens to a message on its way through it is journey.py.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal

import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.connection import connection_of
from fedtiny.simulation.dropout import drops_out
from fedtiny.simulation.heat import Heat
from fedtiny.simulation.journey import SENT, Journey
from fedtiny.simulation.link import Link, Turns
from fedtiny.simulation.presence import Presence
from fedtiny.simulation.trace import Trace
from fedtiny.simulation.work import Execution, Work

__all__ = ["Execution", "SimulatedDevice", "Work"]

_ROUNDING: Final = 1e-9


class SimulatedDevice:
    """One device that receives work, does it and replies, in virtual time."""

    __slots__ = (
        "agenda",
        "connection",
        "downlink",
        "drops_out",
        "heat",
        "looks_every",
        "looks_since",
        "presence",
        "processor",
        "session",
        "start_up",
        "trace",
        "traits",
        "uplink",
    )

    def __init__(
        self, environment: simpy.Environment, traits: Traits, streams: Streams, trace: Trace, presence: Presence | None = None
    ) -> None:
        self.traits, self.trace, self.presence = traits, trace, presence
        agenda, leaves = agenda_of(environment), presence is not None
        self.agenda = agenda
        connection = self.connection = connection_of(agenda, traits, trace, presence)
        down, up = (None, None) if connection is None else (connection.carrier("downlink"), connection.carrier("uplink"))
        self.downlink = Link(agenda, traits, traits.network.downlink, streams, "downlink", interruptible=leaves, carrier=down)
        self.uplink = Link(agenda, traits, traits.network.uplink, streams, "uplink", interruptible=leaves, carrier=up)
        self.processor = Turns(agenda)
        throttling = traits.device.throttling
        self.heat = None if throttling is None else Heat(throttling)
        self.session = None if traits.device.runtime == "overlapping" else Turns(agenda)
        self.start_up = _start_up(traits)
        """Seconds of start-up that are left when a message has been fetched."""
        self.looks_every, self.looks_since = _interval(traits), _first_look(traits, streams)
        """When it was last done with a message (s); it looks for others then and every polling interval after."""
        self.drops_out: Callable[[int, int], bool] | None = partial(drops_out, traits, streams) if traits.dropout else None

    @property
    def remembers(self) -> bool:
        """Whether what it does next depends on what it has done, or on how much was drawn for it."""
        traits = self.traits
        if traits.network.jitter or traits.network.loss or traits.device.polling_interval:
            return True
        return self.connection is not None and self.connection.remembers

    def accept(self, burst: Sequence[Work]) -> None:
        """Starts the messages of one burst on their way, in order, with one latency draw for all of them."""
        latency = self.downlink.draw_latency() * self._requests("download")
        for work in burst:
            self.agenda.first(Journey(self, work, latency), SENT)

    def takes(self, seconds: float) -> float:
        """Seconds that work takes which begins now and would take `seconds` on a cool processor."""
        return seconds if self.heat is None else self.heat.takes(self.agenda.environment.now, seconds)

    def left(self, seconds: float, passed: float) -> float:
        """Seconds that are left on a cool processor of work that would take `seconds` there, began when `takes` was last asked, and stops
        now, `passed` seconds later."""
        return seconds - passed if self.heat is None else self.heat.stop(self.agenda.environment.now)

    def upload_latency(self) -> float:
        """Seconds from the end of a reply's transfer to its arrival, but for jitter drawn anew every time."""
        return self.uplink.draw_latency() * self._requests("upload")

    def look_again(self) -> None:
        """It is done with a message whose reply arrives now, and will look for the next."""
        requests = self.traits.device.requests
        after = 0.0 if requests is None else max(0.0, 2 * self.traits.network.latency - requests.turnaround)
        self.looks_since = self.agenda.environment.now + after

    def _requests(self, direction: Literal["download", "upload"]) -> int:
        requests = self.traits.device.requests
        return 1 if requests is None else 2 * getattr(requests, direction) - 1

    def next_look(self, pushed: float) -> float:
        """When it notices a message that was pushed at this time, where it does nothing else (s)."""
        now, interval, since = self.agenda.environment.now, self.looks_every, self.looks_since
        if not interval or pushed < since:
            return max(now, since)
        # what comes just when it looks comes too late where it has only just finished, and is noticed where it has waited
        looks = max(1, math.ceil((now - since) / interval - _ROUNDING))
        return max(now, since + looks * interval)


def _interval(traits: Traits) -> float:
    """Seconds between two looks: where each is a request, its round trip is part of that."""
    trip = 0.0 if traits.device.requests is None else 2 * traits.network.latency
    return traits.device.polling_interval and traits.device.polling_interval + trip


def _start_up(traits: Traits) -> float:
    requests, start_up = traits.device.requests, traits.device.start_up
    return start_up if requests is None else max(0.0, start_up - 2 * traits.network.latency * (requests.download - 1))


def _first_look(traits: Traits, streams: Streams) -> float:
    interval = _interval(traits)
    if not interval:
        return 0.0
    return interval * (float(streams.numpy("group", traits.group, "device", traits.index, "polling").random()) - 1.0)
