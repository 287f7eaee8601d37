"""The charge of a battery: closed forms, and a slow twin that steps through time."""

import math

import numpy as np
import pytest
import simpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedtiny.fleet.battery import Battery as Part
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.fleet.timetable import Pattern, Repeated, Spans
from fedtiny.randomness import Streams
from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.battery import Battery
from fedtiny.simulation.battery_account import Drain
from fedtiny.simulation.device import Execution, SimulatedDevice
from fedtiny.simulation.presence import OnLeave, Place, Presence
from fedtiny.simulation.trace import DOWNLOAD, TRAIN, UPLOAD, WORK, Trace

FREE = {DOWNLOAD: 0.0, UPLOAD: 0.0}
DRAIN = Drain(1.0, dict.fromkeys(WORK, 3.0), {DOWNLOAD: 0.5, UPLOAD: 0.25})


def part(capacity=100, **options):
    return Part.model_validate({"capacity": f"{capacity} J", **options})


def plugged(watts):
    return {"kind": "plugged", "power": f"{watts} W"}


def spans_of(changes, length):
    return Spans(Repeated([Pattern(True, length, np.array(changes, dtype=float))], np.zeros(1, np.int64), np.zeros(1)), np.arange(1))


class Something:
    """Something that draws and has nothing to settle."""

    def owes(self, battery):
        return 0.0


class Message:
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
    """One device on a battery, and messages for it; `changes` are those of its availability."""

    def __init__(self, initial, battery, *, fails=False, notice=0.0, drain=DRAIN, changes=None, **network):
        self.environment, self.trace, self.replied, self.lost = simpy.Environment(), Trace(), {}, {}
        device = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()
        link = CustomNetwork.model_validate({"kind": "custom", "latency": "0 s", **network}).profile()
        place, own = (None, None) if changes is None else (Place(spans_of(*changes), 0), spans_of(*changes))
        self.battery = Battery(battery, initial, drain, own)
        presence = Presence(agenda_of(self.environment), place, OnLeave(fails, noticed_after=notice), self.battery)
        self.device = SimulatedDevice(self.environment, Traits(0, 0, 0, "stage", device, link), Streams(0), self.trace, presence)

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


# --- the charge alone -----------------------------------------------------------------------------------------------


def test_an_idle_device_is_off_after_exactly_its_energy_over_its_power():
    battery = Battery(part(), 70.0, Drain(0.3, {}, {}))
    battery.advance(1e6)
    assert not battery.alive
    account = battery.account(1e6)
    assert account.away == ((70.0 / 0.3, 1e6),)
    assert account.drained == pytest.approx(70.0, rel=1e-14)
    assert account.charge == 0.0


def test_a_charger_fills_a_battery_up_and_then_gives_what_is_drawn():
    battery = Battery(part(charging=plugged(5)), 20.0, DRAIN)
    assert battery.charge(10.0) == pytest.approx(60.0)
    assert battery.next_change == 20.0
    assert battery.charge(20.0) == 100.0
    account = battery.account(50.0)
    assert (account.charge, account.charged, account.drained) == (100.0, pytest.approx(20 * 5 + 30 * 1), pytest.approx(50.0))


def test_a_device_that_was_off_is_on_again_at_its_level_and_draws_nothing_until_then():
    battery = Battery(part(charging=plugged(0.5), resumes_above=0.2), 5.0, DRAIN)
    battery.advance(9.0)
    assert battery.alive
    battery.advance(10.0)
    assert not battery.alive
    battery.advance(math.nextafter(50.0, 0.0))
    assert not battery.alive
    battery.advance(50.0)
    assert battery.alive
    assert battery.charge(60.0) == pytest.approx(15.0)
    assert battery.account(60.0).away == ((10.0, 50.0),)


def test_below_its_level_a_device_refuses_until_it_is_charged_above_it():
    battery = Battery(
        part(charging={"kind": "daily", "power": "2 W", "begins": 1, "ends": 2}, refuses_below=0.4, capacity=36_000), 16_200, DRAIN
    )
    battery.advance(1_800.0)
    assert not battery.accepts
    assert battery.since == 1_800.0
    assert battery.charge(3_600.0) == pytest.approx(12_600)
    battery.advance(5_399.0)
    assert not battery.accepts
    battery.advance(5_400.0)
    assert battery.accepts
    assert battery.comes(5_400.0, accepting=True) == 5_400.0


def test_who_waits_is_told_when_a_device_comes_again_or_that_it_never_does():
    never, later = Battery(part(), 3.0, DRAIN), Battery(part(charging=plugged(0.5)), 3.0, DRAIN)
    for battery in (never, later):
        battery.advance(7.0)
    assert never.comes(7.0, accepting=False) == math.inf
    assert later.comes(7.0, accepting=False) == pytest.approx(6.0 + 5.0 / 0.5)
    refuses = Battery(part(charging=plugged(0.5), refuses_below=0.5), 3.0, DRAIN)
    assert refuses.comes(0.0, accepting=False) == 0.0
    assert refuses.comes(0.0, accepting=True) == math.inf, "it is off at 0.05 of the capacity again and again"


def test_a_device_that_is_away_draws_nothing_and_is_charged_with_its_sessions():
    battery = Battery(part(charging={"kind": "session", "power": "3 W"}), 10.0, DRAIN, spans_of([4, 10], 10.0))
    assert battery.charge(4.0) == pytest.approx(10 + 4 * 2)
    assert battery.charge(10.0) == pytest.approx(18.0)
    assert battery.charge(100.0) == pytest.approx(10 + 10 * 4 * 2)


@given(
    st.floats(0.2, 1.0),
    st.floats(0.05, 0.9),
    st.floats(0.0, 0.6),
    st.floats(0.1, 4.0),
    st.sampled_from(["plugged", "session", None]),
    st.lists(st.tuples(st.floats(0.5, 20.0), st.floats(0.0, 6.0)), min_size=1, max_size=6),
    st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_charge_is_that_of_small_steps(initial, resumes, refuses, power, kind, loads, leaves):
    charging = None if kind is None else {"kind": kind, "power": f"{power} W"}
    stated = part(20, charging=charging, resumes_above=resumes, refuses_below=refuses)
    battery = Battery(stated, 20 * initial, DRAIN, spans_of([7, 11], 11.0) if leaves else None)
    step, now, charge, alive, drained, something = 1e-3, 0.0, 20 * initial, True, 0.0, Something()
    for seconds, watts in loads:
        battery.work(something, watts, now)
        for _ in range(round(seconds / step)):
            online = not leaves or now % 11.0 < 7.0
            drawn = watts if alive and online else 0.0
            given_now = 0.0 if kind is None or (kind == "session" and not online) else power
            charge = min(20.0, charge + (given_now - drawn) * step)
            drained += drawn * step
            alive = charge > 0.0 if alive else charge >= 20 * resumes
            charge, now = max(0.0, charge), now + step
        # one that was off a step too early or late is so for good: what is compared is the level, where both agree who is on
        battery.advance(now)
        if alive == battery.alive:
            error = 0.02 + 0.05 * len(battery.account(now).away)
            assert battery.charge(now) == pytest.approx(charge, abs=error)
            assert battery.account(now).drained == pytest.approx(drained, abs=error)
    account = battery.account(now)
    assert account.initial + account.charged - account.drained == pytest.approx(account.charge, rel=1e-9, abs=1e-9)


# --- a device that lives on it --------------------------------------------------------------------------------------


def test_work_stops_at_the_very_second_and_loses_nothing_when_it_pauses():
    stage = Stage(14.0, part(charging=plugged(1), resumes_above=0.12))
    stage.send((0, 12.0, 0), at=1.0)
    stage.environment.run()
    # idle 1 s on the charger: 14 J; at work 2 W net: empty 7 s later; off for 12 s; then 5 s of work are left
    work = [row for row in stage.rows() if row[0] == "train"]
    assert work == [("train", 1.0, 8.0, "interrupted"), ("train", 20.0, 25.0, "done")]
    assert stage.replied == {0: 25.0}
    assert sum(row.macs for row in stage.trace.activities) == pytest.approx(120.0, rel=1e-12)
    account = stage.battery.account(25.0)
    assert account.away == ((8.0, 20.0),)
    assert account.drained == pytest.approx(1 + 12 * 3, rel=1e-12)
    assert account.charge == pytest.approx(2.0, abs=1e-12)


def test_what_a_device_does_that_fails_is_given_up_at_the_very_second():
    stage = Stage(14.0, part(charging=plugged(1), resumes_above=0.1), fails=True, notice=2.5)
    stage.send((0, 12.0, 0), at=1.0)
    stage.environment.run()
    assert stage.rows()[-1] == ("train", 1.0, 8.0, "aborted")
    assert stage.lost == {0: 10.5}


def test_a_device_that_is_never_charged_again_has_left_for_ever():
    stage = Stage(14.0, part())
    stage.send((0, 12.0, 0), (0, 1.0, 0), at=2.0)
    stage.send((9, 1.0, 0), at=20.0)
    stage.environment.run()
    assert stage.rows()[-1] == ("train", 2.0, 6.0, "aborted")
    assert stage.lost == {0: 6.0, 1: 6.0, 2: 20.0}
    assert stage.replied == {}


def test_work_that_ends_as_the_battery_does_has_ended():
    stage = Stage(12.0, part(charging=None))
    stage.send((0, 4.0, 6))
    stage.environment.run()
    assert [row for row in stage.rows() if row[0] == "train"] == [("train", 0.0, 4.0, "done")]
    assert stage.lost == {0: 4.0}


def test_a_transfer_stops_at_whole_bytes_and_is_paid_for_by_the_byte():
    stage = Stage(10.5, part(charging=plugged(0.75), resumes_above=0.1), uplink="3 B/s")
    stage.send((0, 0.0, 100))
    stage.environment.run()
    # idle and 3 B/s at 0.25 J draw 1.75 W, of which the charger gives 0.75 W: empty after 10.5 s
    uploads = [(row.start, row.end, row.bytes, row.outcome) for row in stage.trace.activities if row.kind == "upload"]
    assert uploads[0] == (0.0, 10.5, 31, "interrupted")
    assert sum(size for _, _, size, _ in uploads) == 100
    account = stage.battery.account(stage.environment.now)
    seconds = sum(end - start for start, end, _, _ in uploads)
    assert account.drained == pytest.approx(seconds + 25.0, rel=1e-12)
    assert account.initial + account.charged - account.drained == pytest.approx(account.charge, abs=1e-9)


def test_a_transfer_that_takes_no_time_is_paid_for_when_it_has_ended():
    stage = Stage(10.0, part())
    stage.send((100, 1.0, 0))
    stage.environment.run()
    assert stage.lost == {0: 0.0}
    assert stage.battery.charge(1.0) == pytest.approx(-40.0)
    assert not stage.battery.alive


def test_a_low_battery_refuses_new_work_and_finishes_what_it_does():
    stage = Stage(76.0, part(charging=plugged(2), refuses_below=0.75))
    stage.send((0, 5.0, 0), (0, 1.0, 0), at=0.0)
    stage.environment.run()
    # at work 1 W net: 71 J after 5 s, below 75 J; idle it gains 1 W, and begins again at 75 J
    assert [row for row in stage.rows() if row[0] == "train"] == [("train", 0.0, 5.0, "done"), ("train", 9.0, 10.0, "done")]
    assert stage.replied == {0: 5.0, 1: 10.0}


def test_what_a_low_battery_refuses_fails_where_it_would_never_begin_or_leaving_fails():
    for stage in (Stage(20.0, part(refuses_below=0.5)), Stage(20.0, part(charging=plugged(5), refuses_below=0.5), fails=True, notice=3.0)):
        stage.send((0, 5.0, 0), at=1.0)
        stage.environment.run()
        assert "train" not in [kind for kind, *_ in stage.rows()]
        assert stage.lost == {0: 1.0 + stage.device.presence.on_leave.noticed_after}


def test_nothing_is_scheduled_for_a_device_that_does_nothing():
    stage = Stage(50.0, part(charging={"kind": "daily", "power": "2 W", "begins": 1, "ends": 2}))
    stage.send((0, 1.0, 0))
    stage.environment.run()
    assert stage.environment.now == 1.0
    assert stage.environment.peek() == math.inf
    assert stage.device.presence.here


def test_charged_while_its_availability_keeps_it_away_a_device_comes_with_that():
    # on for 6 s and off for 6 s in turn; off at 4 s, charged again at 4 + 5 / 0.5 = 14 s, which is in its second time online
    stage = Stage(
        8.0, part(charging=plugged(0.5), resumes_above=0.05), drain=Drain(1.0, dict.fromkeys(WORK, 2.5), FREE), changes=([6, 12], 12.0)
    )
    stage.send((0, 6.0, 0))
    stage.environment.run()
    work = [row[1:] for row in stage.rows() if row[0] == "train"]
    assert work[:2] == [(0.0, 4.0, "interrupted"), (14.0, 16.0, "done")]
    # and at 4 + 5 / 0.3 = 20.7 s, which is not: it comes at 24 s
    stage = Stage(8.8, part(charging=plugged(0.3)), drain=Drain(1.0, dict.fromkeys(WORK, 2.5), FREE), changes=([6, 12], 12.0))
    stage.send((0, 6.0, 0))
    stage.environment.run()
    assert [row[1:] for row in stage.rows() if row[0] == "train"][1][0] == 24.0


@pytest.mark.parametrize("kind", [TRAIN])
def test_a_kind_of_work_draws_its_own_power(kind):
    stage = Stage(30.0, part(), drain=Drain(0.0, {**dict.fromkeys(WORK, 1.0), kind: 6.0}, FREE))
    stage.send((0, 10.0, 0))
    stage.environment.run()
    assert stage.rows()[-1] == ("train", 0.0, 5.0, "aborted")
