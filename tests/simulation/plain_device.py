"""The plain twin of simulation/device.py: one SimPy process for a message, and SimPy resources; slow, and obviously right.

Overlap is not modelled, it follows: the three are separate resources, so a device that was given its next work before
its last reply has left downloads, computes and uploads at once. A device with a `serial` runtime (such as a stock Flower
SuperNode: pull, run, push) does one message at a time from its download to the arrival of its reply.

A transfer of b bytes occupies a link for ``b / bandwidth`` seconds and arrives ``latency + jitter`` later; latency does
not occupy the link. Messages of one device arrive in the order in which they were sent, whatever the jitter, and the
messages of one burst share one latency draw. A lost message has occupied its link and is sent again one round trip later.
A device that drops out of a round gets its message and does nothing with it.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import NetworkProfile
from fedtiny.randomness import Streams
from fedtiny.simulation.device import Execution, Work
from fedtiny.simulation.trace import Activity, Kind, Outcome

Process = Generator[simpy.Event, Any, Any]


@dataclass
class PlainTrace:
    """The plain twin of simulation/trace.py: all activities of a run in the order in which they began, and who was asked for what, when."""

    activities: list[Activity] = field(default_factory=list)
    asked: list[tuple[int, int, float]] = field(default_factory=list)
    """(device, round, time) of every message the server pushed."""
    bytes_up: int = 0
    """Bytes of the uploads that have ended so far."""
    bytes_down: int = 0
    """Bytes of the downloads that have ended so far."""
    _open: dict[int, Activity] = field(default_factory=dict)

    def begin(self, activity: Activity) -> Activity:
        """Records an activity that starts now; `finish` or `cut` ends it."""
        self.activities.append(activity)
        self._open[id(activity)] = activity
        return activity

    def finish(self, activity: Activity, end: float, outcome: Outcome = "done") -> None:
        """Ends an activity."""
        activity.end, activity.outcome = end, outcome
        del self._open[id(activity)]
        self.bytes_up += activity.bytes if activity.kind == "upload" else 0
        self.bytes_down += activity.bytes if activity.kind == "download" else 0

    def cut(self, now: float) -> None:
        """The run ends: what still goes on is cancelled now, pro rata, and messages under way never arrive."""
        for activity in self._open.values():
            planned = activity.end
            share = (now - activity.start) / (planned - activity.start) if planned > now else 1.0
            activity.end, activity.outcome, activity.macs = now, "cancelled", activity.macs * share
            activity.bytes, activity.payload_bytes = int(activity.bytes * share), int(activity.payload_bytes * share)
        self._open.clear()
        for activity in self.activities:
            if activity.kind in ("download", "upload") and activity.outcome == "done" and activity.arrival is None:
                activity.outcome = "cancelled"


@dataclass
class Link:
    """One direction of a device's connection; bytes per second, seconds."""

    environment: simpy.Environment
    bandwidth: float
    network: NetworkProfile
    noise: np.random.Generator
    losses: np.random.Generator
    resource: simpy.Resource = field(init=False)
    last_arrival: simpy.Event = field(init=False)

    def __post_init__(self) -> None:
        self.resource = simpy.Resource(self.environment, capacity=1)
        self.last_arrival = self.environment.event()
        self.last_arrival.succeed()

    def draw_latency(self) -> float:
        """One way, in seconds: the profile's latency plus a normal jitter, never below 0."""
        if self.network.jitter == 0.0:
            return self.network.latency
        return max(0.0, self.network.latency + float(self.noise.normal(0.0, self.network.jitter)))

    def loses(self) -> bool:
        """Whether the next transmission is lost."""
        return self.network.loss > 0.0 and bool(self.losses.random() < self.network.loss)

    def seconds(self, size: int) -> float:
        """How long `size` bytes occupy the link."""
        return 0.0 if math.isinf(self.bandwidth) else size / self.bandwidth


class PlainDevice:
    """One device that receives work, does it and replies, in virtual time."""

    def __init__(self, environment: simpy.Environment, traits: Traits, streams: Streams, trace: PlainTrace) -> None:
        self.environment = environment
        self.traits = traits
        self._trace, self._streams = trace, streams
        self._downlink = self._link(traits.network.downlink, streams, "downlink")
        self._uplink = self._link(traits.network.uplink, streams, "uplink")
        self._processor = simpy.Resource(environment, capacity=1)
        self._session = simpy.Resource(environment, capacity=1)
        start = streams.numpy("group", traits.group, "device", traits.index, "polling").random()
        self._trip = 0.0 if traits.device.requests is None else 2 * traits.network.latency
        self._interval = traits.device.polling_interval + (self._trip if traits.device.polling_interval else 0.0)
        self._polls_from = self._interval * (float(start) - 1)
        self._heat, self._cools_from = 0.0, 0.0

    def _link(self, bandwidth: float, streams: Streams, name: str) -> Link:
        path = ("group", self.traits.group, "device", self.traits.index, name)
        return Link(
            environment=self.environment,
            bandwidth=bandwidth,
            network=self.traits.network,
            noise=streams.numpy(*path, "jitter"),
            losses=streams.numpy(*path, "loss"),
        )

    def accept(self, burst: Sequence[Work]) -> None:
        """Starts the messages of one burst on their way, in order, with one latency draw for all of them."""
        latency = self._downlink.draw_latency()
        if self.traits.device.requests is not None:  # the answer to the look, and what is asked for after it
            latency += 2 * latency * (self.traits.device.requests.download - 1)
        for work in burst:
            ordered = self.environment.event()
            previous, self._downlink.last_arrival = self._downlink.last_arrival, ordered
            self.environment.process(self._journey(work, latency, previous, ordered))

    def _journey(self, work: Work, latency: float, previous: simpy.Event, arrived: simpy.Event) -> Process:
        if self.traits.device.runtime == "overlapping":
            yield from self._stages(work, latency, previous, arrived)
            return
        pushed = self.environment.now
        with self._session.request() as turn:
            yield turn
            poll = self._next_poll(pushed)
            if poll > self.environment.now:
                yield self.environment.timeout(poll - self.environment.now)
            yield from self._stages(work, latency, previous, arrived)
            requests = self.traits.device.requests
            self._polls_from = self.environment.now + (0 if requests is None else max(0, self._trip - requests.turnaround))

    def _next_poll(self, pushed: float) -> float:
        """The first of its looks for messages that is not over; it looked when it was last done with a message, and saw what was there."""
        interval, now, number = self._interval, self.environment.now, 1
        if not interval or pushed < self._polls_from:
            return max(now, self._polls_from)
        while self._polls_from + number * interval < now - 1e-9 * interval:
            number += 1
        return self._polls_from + number * interval

    def _stages(self, work: Work, latency: float, previous: simpy.Event, arrived: simpy.Event) -> Process:
        received = yield from self._transfer(self._downlink, "download", work.round, work.bytes, work.payload_bytes, latency)
        yield previous
        received.arrival = self.environment.now
        arrived.succeed()
        if self._drops_out(work):
            received.outcome = "dropped"
            work.abandon()
            return
        execution = yield from self._compute(work)
        if execution is None:
            received.outcome = "late"
            return
        previous, replied = self._uplink.last_arrival, self.environment.event()
        self._uplink.last_arrival = replied
        latency = self._uplink.draw_latency()
        if self.traits.device.requests is not None:
            latency += 2 * latency * (self.traits.device.requests.upload - 1)
        sent = yield from self._transfer(self._uplink, "upload", work.round, execution.reply_bytes, execution.reply_payload_bytes, latency)
        yield previous
        sent.arrival = self.environment.now
        replied.succeed()
        sent.outcome = "done" if work.deliver() else "late"

    def _drops_out(self, work: Work) -> bool:
        path = ("group", self.traits.group, "device", self.traits.index, "dropout", work.round, work.attempt)
        return self._streams.integer(*path) < self.traits.dropout * 2**63

    def _transfer(
        self, link: Link, kind: Kind, number: int, size: int, payload: int, latency: float
    ) -> Generator[simpy.Event, Any, Activity]:
        while True:
            with link.resource.request() as turn:
                yield turn
                start, seconds = float(self.environment.now), link.seconds(size)
                activity = self._trace.begin(
                    Activity(self.traits.number, number, kind, start, start + seconds, bytes=size, payload_bytes=payload)
                )
                yield self.environment.timeout(seconds)
            lost = link.loses()
            outcome: Outcome = "lost" if lost else "done"
            self._trace.finish(activity, self.environment.now, outcome)
            yield self.environment.timeout(2 * link.network.latency if lost else latency)
            if not lost:
                return activity

    def _compute(self, work: Work) -> Generator[simpy.Event, Any, Execution | None]:
        with self._processor.request() as turn:
            yield turn
            execution = work.begin()
            if execution is None:
                return None
            start_up = self.traits.device.start_up
            if self.traits.device.requests is not None:  # it began with the answer to the look
                start_up = max(0.0, start_up - self._trip * (self.traits.device.requests.download - 1))
            if start_up:
                start_up = self._takes(start_up)
                start = float(self.environment.now)
                activity = self._trace.begin(Activity(self.traits.number, work.round, "start_up", start, start + start_up))
                yield self.environment.timeout(start_up)
                self._trace.finish(activity, self.environment.now)
            if execution.seconds > 0 or execution.macs > 0:
                seconds = self._takes(execution.seconds)
                start, end = float(self.environment.now), float(self.environment.now) + seconds
                activity = self._trace.begin(Activity(self.traits.number, work.round, execution.kind, start, end, macs=execution.macs))
                yield self.environment.timeout(seconds)
                self._trace.finish(activity, self.environment.now, "failed" if execution.failed else "done")
                if execution.paging and not execution.failed:
                    start, end = float(self.environment.now), float(self.environment.now) + execution.paging
                    activity = self._trace.begin(Activity(self.traits.number, work.round, "paging", start, end))
                    yield self.environment.timeout(execution.paging)
                    self._trace.finish(activity, self.environment.now)
        return execution

    def _takes(self, seconds: float) -> float:
        """Seconds of work on a processor that throttles: cool ones first, then slow ones."""
        throttling, now = self.traits.device.throttling, self.environment.now
        if throttling is None:
            return seconds
        self._heat = max(0.0, self._heat - (now - self._cools_from))
        cool = throttling.after - self._heat
        taken = seconds if seconds <= cool else cool + (seconds - cool) / throttling.factor
        self._heat, self._cools_from = min(throttling.after, self._heat + taken), now + taken
        return taken
