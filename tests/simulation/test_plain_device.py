"""Devices whose messages are events, against devices of SimPy processes and resources: the same, in the same order, to the last bit."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.simulation.device import Execution, SimulatedDevice
from fedtiny.simulation.trace import Trace

# small whole numbers, so that things happen at the same time everywhere
WHOLE = st.sampled_from((0, 0, 1, 2, 4))
ANY = st.one_of(WHOLE, st.floats(0.01, 5))


@st.composite
def networks(draw):
    network = {
        "kind": "custom",
        "latency": f"{draw(ANY)!r} s",
        "jitter": f"{draw(st.sampled_from((0.0, 0.0, 1.0)))!r} s",
        "loss": draw(st.sampled_from((0.0, 0.0, 0.3))),
    }
    for link in ("downlink", "uplink"):
        bandwidth = draw(st.sampled_from((None, "1 B/s", "2 B/s", "3 B/s")))
        network |= {link: bandwidth} if bandwidth else {}
    return CustomNetwork.model_validate(network).profile()


@st.composite
def runtimes(draw):
    heat = draw(st.sampled_from((None, None, {"after": "2 s", "factor": 0.5}, {"after": "0.7 s", "factor": 0.9})))
    if draw(st.booleans()):
        return {"runtime": "overlapping", "throttling": heat}
    waits = {key: f"{draw(st.sampled_from((0, 0, 1, 2, 0.7)))!r} s" for key in ("polling_interval", "start_up")}
    many = st.fixed_dictionaries(
        {"download": st.integers(1, 3), "upload": st.integers(1, 3), "turnaround": st.sampled_from(("0 s", "1 s", "3 s"))}
    )
    return {"runtime": "serial", "throttling": heat, "requests": draw(st.one_of(st.none(), many)), **waits}


MEMBERS = st.tuples(runtimes(), networks(), st.sampled_from((0.0, 0.0, 0.3)))
MESSAGES = st.tuples(
    WHOLE,  # bytes of the message
    st.one_of(st.none(), ANY),  # seconds of work; None: not wanted
    WHOLE,  # bytes of the reply
    st.sampled_from(("train", "train", "evaluate", "failed")),
    st.booleans(),  # whether the reply is awaited
    st.one_of(st.none(), st.integers(0, 3)),  # the device that is sent a message when the reply is there
)
BURSTS = st.lists(st.tuples(WHOLE, st.integers(0, 3), st.lists(MESSAGES, min_size=1, max_size=4)), min_size=1, max_size=6)


@dataclass
class Play:
    """A server that sends bursts and reacts to replies, and all that it and the devices see."""

    environment: simpy.Environment
    trace: Trace
    devices: list
    seen: list = field(default_factory=list)
    reactions: list = field(default_factory=list)
    messages: int = 0

    def work(self, size, seconds, reply, what, awaited, then):
        self.messages += 1
        number = self.messages

        def see(event):
            trace, now = self.trace, self.environment.now
            self.seen.append((event, number, now, len(trace.activities), trace.bytes_up, trace.bytes_down))

        def begin():
            see("begin")
            if seconds is None:
                return None
            kind = "evaluate" if what == "evaluate" else "train"
            return Execution(seconds, 3 * seconds, reply, reply // 2, kind, failed=what == "failed", paging=float(number % 3 == 0))

        def deliver():
            see("deliver")
            if then is not None:
                self.reactions.append(then)
            return awaited

        def abandon():
            see("abandon")

        work = {"begin": begin, "deliver": deliver, "abandon": abandon}
        return SimpleNamespace(round=number, attempt=number % 2, bytes=size, payload_bytes=size // 2, **work)

    def push(self, place, messages):
        self.devices[place % len(self.devices)].accept([self.work(*message) for message in messages])

    def until(self, time):
        """Lets time pass; a reply is reacted to before anything else happens, as servers do."""
        while self.environment.peek() <= time:
            self.environment.step()
            for place in self.reactions:
                self.push(place, [(1, 1, 1, "train", True, None)] * 2)
            self.reactions.clear()


def play(device_of, trace, members, bursts, end):
    environment = simpy.Environment()
    traits = [
        Traits(
            number,
            0,
            number,
            "group",
            CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s", **runtime}).profile(),
            network,
            dropout,
        )
        for number, (runtime, network, dropout) in enumerate(members)
    ]
    played = Play(environment, trace, [device_of(environment, device, Streams(5), trace) for device in traits])
    time = 0.0
    for gap, place, messages in bursts:
        time += gap
        played.until(time)
        if environment.now < time:
            environment.run(until=time)
        played.push(place, messages)
    played.until(end)
    trace.cut(min(end, environment.now) if environment.peek() == float("inf") else end)
    return played


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=400)
@given(members=st.lists(MEMBERS, min_size=1, max_size=4), bursts=BURSTS, end=st.one_of(st.just(1e9), st.integers(0, 20), st.floats(0, 20)))
def test_messages_as_events_do_what_processes_do(plain, members, bursts, end):
    fast = play(SimulatedDevice, Trace(), members, bursts, end)
    slow = play(plain.PlainDevice, plain.PlainTrace(), members, bursts, end)
    assert fast.seen == slow.seen
    assert list(fast.trace.activities) == slow.trace.activities
    assert (fast.trace.bytes_up, fast.trace.bytes_down) == (slow.trace.bytes_up, slow.trace.bytes_down)


def test_what_a_device_raises_is_raised_where_time_passes(bench):
    stage = bench(latency="1 s")

    def begin():
        raise LookupError("no such thing", 3)

    stage.device.accept([SimpleNamespace(round=1, bytes=1, payload_bytes=0, begin=begin, deliver=lambda: True)])
    with pytest.raises(LookupError, match="no such thing"):
        stage.environment.run()
