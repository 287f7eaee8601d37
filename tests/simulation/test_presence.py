"""A device that comes and leaves: closed forms of paused work and transfers, what fails, and a slow twin that is obviously right."""

import itertools
import math

import numpy as np
import pytest
import simpy
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from fedtiny.fleet.availability import DutyCycle
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.fleet.timetable import Pattern, Repeated, Spans
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.device import Execution, SimulatedDevice
from fedtiny.simulation.moment import Moment
from fedtiny.simulation.presence import OnLeave, Place, Presence
from fedtiny.simulation.roll_call import RollCall
from fedtiny.simulation.trace import Trace


class Message:
    """A message that takes so many seconds of work; what became of it is noted."""

    attempt = 0

    def __init__(self, stage, number, size, seconds, reply):
        self.stage, self.round, self.bytes, self.payload_bytes = stage, number, size, size
        self.seconds, self.reply = seconds, reply

    def begin(self):
        return Execution(self.seconds, 10.0 * self.seconds, self.reply, self.reply)

    def deliver(self):
        self.stage.replied[self.round] = self.stage.environment.now
        return True

    def lose(self, after):
        self.stage.lost[self.round] = self.stage.environment.now + after


class Stage:
    """One device with a period of comings and leavings, and messages for it."""

    def __init__(
        self, changes, length, *, online=True, fails=False, resumes=True, notice=0.0, runtime="overlapping", start_up="0 s", **network
    ):
        self.environment, self.trace, self.replied, self.lost = simpy.Environment(), Trace(), {}, {}
        timetable = Repeated([Pattern(True, length, np.array(changes, dtype=float))], np.zeros(1, np.int64), np.zeros(1))
        device = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()
        link = CustomNetwork.model_validate({"kind": "custom", "latency": "0 s", **network}).profile()
        presence = Presence(agenda_of(self.environment), Place(Spans(timetable, np.arange(1)), 0), OnLeave(fails, resumes, notice))
        traits = Traits(0, 0, 0, "stage", device, link)
        self.device, self.presence = SimulatedDevice(self.environment, traits, Streams(0), self.trace, presence), presence

    def send(self, *messages, at=0.0):
        """(bytes, seconds of work, bytes of the reply) of messages that are pushed at a time."""
        if at > self.environment.now:
            self.environment.run(until=at)
        first = len(self.trace.asked)
        for place, _ in enumerate(messages):
            self.trace.asked.append((0, first + place, at))
        self.device.accept([Message(self, first + place, *message) for place, message in enumerate(messages)])

    def rows(self):
        return [(row.kind, row.start, row.end, row.outcome) for row in self.trace.activities]


def later(moment, seconds, on, off, phase=0.0):
    """When work of so many seconds ends that begins at a moment, online for `on` and offline for `off` in turn: the closed form."""
    cycle, place = on + off, (moment + phase) % (on + off)
    begin = moment if place < on else moment + cycle - place
    room = on - place if place < on else on
    if seconds <= room:
        return begin + seconds
    gaps = math.ceil((seconds - room) / on)
    return begin + seconds + gaps * off


@given(st.floats(0, 60), st.floats(0.001, 50), st.floats(0.1, 10), st.floats(0.1, 10))
@settings(max_examples=60, deadline=None)
def test_work_ends_after_its_seconds_and_the_gaps_it_crosses(moment, seconds, on, off):
    ends = (moment % (on + off), (seconds - (on - moment % (on + off))) % on, seconds % on)
    assume(all(min(abs(place - edge) for edge in (0, on, on + off)) > 1e-6 for place in ends))
    stage = Stage([on, on + off], on + off)
    stage.send((0, seconds, 0), at=moment)
    stage.environment.run()
    assert stage.rows()[-2][2] == pytest.approx(later(moment, seconds, on, off), rel=1e-9, abs=1e-9)
    parts = [(end - start, outcome) for kind, start, end, outcome in stage.rows() if kind == "train"]
    assert sum(length for length, _ in parts) == pytest.approx(seconds)
    assert [outcome for _, outcome in parts] == ["interrupted"] * (len(parts) - 1) + ["done"]
    assert sum(row.macs for row in stage.trace.activities) == pytest.approx(10 * seconds)


def test_a_transfer_goes_on_where_it_was_or_begins_again():
    resumed, again = (Stage([5, 8], 8.0, resumes=resumes, downlink="10 B/s") for resumes in (True, False))
    for stage in (resumed, again):
        stage.send((40, 0.0, 0), at=2.0)
        stage.environment.run()
    assert resumed.rows()[:2] == [("download", 2, 5, "interrupted"), ("download", 8, 9, "done")]
    assert [row.bytes for row in resumed.trace.activities][:2] == [30, 10]
    assert [row.payload_bytes for row in resumed.trace.activities][:2] == [30, 10]
    assert resumed.trace.bytes_down == 40
    assert again.rows()[:2] == [("download", 2, 5, "repeated"), ("download", 8, 12, "done")]
    assert again.trace.bytes_down == 70


def test_what_ends_when_the_device_leaves_has_ended():
    stage = Stage([5, 8], 8.0, downlink="10 B/s", uplink="10 B/s")
    stage.send((20, 3.0, 10))
    stage.environment.run()
    assert stage.rows() == [("download", 0, 2, "done"), ("train", 2, 5, "done"), ("upload", 8, 9, "done")]


def test_work_that_ends_just_when_the_device_leaves_has_ended_while_a_transfer_is_cut_off():
    stage = Stage([5, 8], 8.0, downlink="1 B/s")
    stage.send((2, 3.0, 0), (4, 0.0, 0))
    stage.environment.run()
    assert stage.rows()[:4] == [
        ("download", 0, 2, "done"),
        ("download", 2, 5, "interrupted"),
        ("train", 2, 5, "done"),
        ("download", 8, 9, "done"),
    ]


@pytest.mark.parametrize("left", [0.5, 2.5, 5.5])
@pytest.mark.parametrize("notice", [0.0, 7.0])
def test_what_fails_is_told_apart_and_the_server_is_told(left, notice):
    """Two seconds down, three of work, one up."""
    stage = Stage([left, 100], 100.0, fails=True, notice=notice, downlink="10 B/s", uplink="10 B/s")
    stage.send((20, 3.0, 10))
    stage.environment.run()
    kind, _, end, outcome = stage.rows()[-1]
    assert (kind, end, outcome) == ({0.5: "download", 2.5: "train", 5.5: "upload"}[left], left, "aborted")
    assert stage.lost == {0: left + notice}
    assert not stage.replied


def test_a_message_waits_for_an_absent_device_also_where_others_fail():
    stage = Stage([4, 10], 10.0, fails=True, downlink="10 B/s")
    stage.send((20, 10.0, 0), (30, 1.0, 0))
    stage.send((10, 1.0, 0), at=6.0)
    stage.environment.run(until=30.0)
    assert stage.lost == {0: 4.0, 1: 4.0}
    assert stage.replied == {2: 12.0}
    assert [row[0] for row in stage.rows()] == ["download", "download", "train", "download", "train", "upload"]


def test_replies_that_are_on_their_way_arrive_and_messages_that_are_wait():
    stage = Stage([4, 10], 10.0, latency="2 s")
    stage.send((0, 1.0, 0))
    stage.send((0, 1.0, 0), at=3.0)
    stage.environment.run()
    assert stage.replied == {0: 5.0, 1: 13.0}


def test_those_behind_a_reply_that_fails_do_not_wait_for_it():
    stage = Stage([4, 6], 6.0, fails=True, uplink="1 B/s", latency="1 s")
    stage.send((0, 1.0, 1), (0, 1.0, 1), (0, 1.0, 1))
    stage.send((0, 0.5, 1), at=6.5)
    stage.environment.run()
    assert set(stage.lost) == {2}
    assert stage.replied == {0: 4.0, 1: 5.0, 3: 10.0}


@given(st.floats(0, 1e9), st.floats(1e-9, 1e9))
@example(0.3333333333333333, 0.8426662545047306 - 0.3333333333333333)
def test_a_moment_comes_to_the_last_bit(now, seconds):
    moment, came = now + seconds, []
    moment = math.nextafter(moment, math.inf)
    environment = simpy.Environment(now)
    Moment(agenda_of(environment), moment, environment, (lambda event: came.append(event.now),)).awaited()
    environment.run()
    assert came == [moment]


WHOLE = st.sampled_from((0, 1, 2, 4))


# --- the twin: a process for every message, which looks at the clock itself --------------------------------------


class Gone(Exception):  # noqa: N818
    """The device has left, and what it did fails."""


class Twin:
    """A device that is online for `on` seconds and offline for `off` seconds in turn; every byte takes a second."""

    def __init__(self, on, off, latency, fails):
        self.on, self.cycle, self.latency, self.fails = on, on + off, latency, fails
        self.environment, self.replied, self.lost = simpy.Environment(), {}, {}
        self.links = [simpy.Resource(self.environment) for _ in range(3)]
        self.arrived = self.environment.event().succeed()

    def away(self):
        """Seconds until the device is back; 0 while it is there."""
        place = self.environment.now % self.cycle
        return 0 if place < self.on else self.cycle - place

    def use(self, link, amount, *, pulled):
        """Takes a turn on a resource for so many seconds of the device's presence; what was not pulled before waits for it."""
        with self.links[link].request() as turn:
            yield turn
            while True:
                if self.away():
                    yield from self.until_back(pulled=pulled)
                left = self.on - self.environment.now % self.cycle
                yield self.environment.timeout(min(left, amount))
                amount -= min(left, amount)
                if not amount:
                    return
                pulled = True

    def until_back(self, *, pulled):
        if self.fails and pulled:
            raise Gone
        yield self.environment.timeout(self.away())

    def message(self, number, size, seconds, reply):
        before, self.arrived = self.arrived, self.environment.event()
        arrived = self.arrived
        try:
            try:
                yield from self.use(0, size, pulled=False)
                yield self.environment.timeout(self.latency)
                yield before
                if self.away():
                    yield from self.until_back(pulled=True)
            finally:
                arrived.succeed()
            yield from self.use(1, seconds, pulled=True)
            yield from self.use(2, reply, pulled=True)
            yield self.environment.timeout(self.latency)
            self.replied[number] = self.environment.now
        except Gone:
            self.lost[number] = self.environment.now


@given(
    st.lists(st.tuples(st.integers(1, 4), st.lists(st.tuples(WHOLE, WHOLE, WHOLE), min_size=1, max_size=3)), min_size=1, max_size=5),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from((0, 1, 3)),
    st.booleans(),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_device_is_as_its_twin(bursts, on, off, latency, fails):
    """Whole numbers only, so that things happen just when the device comes or leaves."""
    stage = Stage([on, on + off], float(on + off), fails=fails, downlink="1 B/s", uplink="1 B/s", latency=f"{latency} s")
    twin, now, number = Twin(on, off, latency, fails), 0, itertools.count()
    for gap, burst in bursts:
        now += gap
        stage.send(*burst, at=float(now))
        twin.environment.run(until=now)
        for message in burst:
            twin.environment.process(twin.message(next(number), *message))
    stage.environment.run(until=500)
    twin.environment.run(until=500)
    assert stage.replied == twin.replied
    assert stage.lost == twin.lost


# --- the roll ---------------------------------------------------------------------------------------------------


class Group:
    def __init__(self, count, availability):
        self.count, self.availability = count, availability


def test_the_roll_knows_who_is_there_and_who_left_only_later():
    cycle = DutyCycle(on="4 s", off="6 s", phase="0 s", noticed_after="2 s")
    other = DutyCycle(on="4 s", off="6 s", phase="5 s")
    roll = RollCall([Group(2, cycle), Group(1, other)], Streams(0), [0, 1, 2])
    assert {now: list(roll.present(now)) for now in (0.0, 3.9, 4.0, 5.9, 6.0, 9.0, 10.0)} == {
        0.0: [0, 1],
        3.9: [0, 1],
        4.0: [0, 1],
        5.9: [0, 1, 2],
        6.0: [2],
        9.0: [],
        10.0: [0, 1],
    }


def test_a_roll_call_waits_whole_seconds_for_enough_and_gives_up_on_who_never_comes():
    clock, trace = [0.25], Trace()

    def sleep(seconds):
        clock[0] += seconds

    roll = RollCall([Group(3, DutyCycle(on="4 s", off="6 s", phase="5.5 s"))], Streams(0), [0, 2])
    assert list(roll.gather(2, lambda: clock[0], sleep, trace)) == [0, 2]
    assert clock[0] == 5.25, "they come at 4.5"
    assert trace.gathered.arrays()[0].tolist() == [0.25]
