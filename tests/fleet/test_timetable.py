"""Timetables: alternating spans that are a pure function of a device, whoever else is asked about, and whenever."""

import itertools

import numpy as np
import pytest

from fedtiny.fleet.availability import DutyCycle, Markov, Sessions
from fedtiny.fleet.availability_trace import pattern_of
from fedtiny.fleet.lengths import Exponential
from fedtiny.fleet.random_table import RandomTable
from fedtiny.fleet.timetable import Renewals, Repeated, Spans
from fedtiny.randomness import Streams

COUNT = 40


def repeated():
    generator = np.random.default_rng(2)
    patterns = []
    for _ in range(5):
        moments = np.sort(generator.random(6)) * 100
        patterns.append(pattern_of(moments.reshape(3, 2).tolist(), 100.0))
    return Repeated(patterns, np.arange(COUNT) % 5, generator.random(COUNT) * 100)


TIMETABLES = {
    "duty_cycle": DutyCycle(on="7 s", off="3 s").timetable(Streams(1), 0, COUNT),
    "markov": Markov(mean_on="5 s", mean_off="9 s").timetable(Streams(1), 0, COUNT),
    "sessions": Sessions().timetable(Streams(1), 0, COUNT),
    "merged": Sessions(merge_gaps="60 s").timetable(Streams(1), 0, COUNT),
    "trace": repeated(),
}
every = pytest.mark.parametrize("timetable", TIMETABLES.values(), ids=TIMETABLES)


def plainly(timetable, device, end):
    """The spans (online, since, until) of one device up to a moment, one step at a time."""
    spans = Spans(timetable, np.array([device]))
    found = [(bool(spans.online[0]), 0.0, float(spans.until[0]))]
    while found[-1][2] <= end:
        spans.step(np.arange(1))
        found.append((bool(spans.online[0]), float(spans.since[0]), float(spans.until[0])))
    return found


@every
def test_spans_alternate_and_touch(timetable):
    for device in range(5):
        spans = plainly(timetable, device, 2000.0)
        for before, after in itertools.pairwise(spans):
            assert before[0] != after[0]
            assert before[1] < before[2] == after[1] < after[2]


@every
def test_many_devices_at_once_are_where_each_is_alone(timetable):
    together = Spans(timetable, np.arange(COUNT))
    alone = {device: plainly(timetable, device, 5000.0) for device in range(COUNT)}
    generator = np.random.default_rng(0)
    for now in (0.0, 0.5, 3.0, 3.0, 50.0, 51.0, 777.0, 4000.0):
        places = np.flatnonzero(generator.random(COUNT) < 0.7)
        together.move(places, now)
        for device in places.tolist():
            found = (bool(together.online[device]), float(together.since[device]), float(together.until[device]))
            assert found == next(span for span in alone[device] if span[2] > now) or found[1] == 0.0 == now
            assert found[1] <= now < found[2]


@every
def test_a_device_does_not_depend_on_how_many_there_are(timetable):
    one, many = Spans(timetable, np.array([3])), Spans(timetable, np.array([0, 3, 9]))
    one.move(np.arange(1), 500.0)
    many.move(np.arange(3), 500.0)
    assert (one.online[0], one.since[0], one.until[0]) == (many.online[1], many.since[1], many.until[1])


def test_a_duty_cycle_is_online_from_each_period_on():
    spans = plainly(DutyCycle(on="7 s", off="3 s", phase="2 s").timetable(Streams(0), 0, 1), 0, 30.0)
    assert spans == [(True, 0, 5), (False, 5, 8), (True, 8, 15), (False, 15, 18), (True, 18, 25), (False, 25, 28), (True, 28, 35)]
    spans = plainly(DutyCycle(on="7 s", off="3 s", phase="19 s").timetable(Streams(0), 0, 1), 0, 10.0)
    assert spans == [(False, 0, 1), (True, 1, 8), (False, 8, 11)]


def test_drawn_phases_are_even():
    timetable = DutyCycle(on="30 s", off="70 s").timetable(Streams(4), 0, 50_000)
    online, _, until = timetable.first(np.arange(50_000))
    assert online.mean() == pytest.approx(0.3, abs=0.01)
    assert np.mean(until[online]) == pytest.approx(15, rel=0.02)
    assert np.mean(until[~online]) == pytest.approx(35, rel=0.02)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_markov_device_is_online_for_its_share_at_every_moment(share):
    on = 100 * share
    timetable = Markov(mean_on=f"{on!r} s", mean_off=f"{100 - on!r} s").timetable(Streams(8), 0, 20_000)
    spans, places = Spans(timetable, np.arange(20_000)), np.arange(20_000)
    for now in (0.0, 10.0, 100.0, 1000.0):
        spans.move(places, now)
        assert spans.online.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))


def test_sessions_are_stationary_and_as_long_as_stated():
    timetable = Sessions().timetable(Streams(6), 0, 20_000)
    spans, places = Spans(timetable, np.arange(20_000)), np.arange(20_000)
    lengths = {True: [], False: []}
    for _ in range(12):
        spans.step(places)
        for online in (True, False):
            chosen = spans.online == online
            lengths[online].append((spans.until - spans.since)[chosen])
    for online, expected in ((True, Sessions().session), (False, Sessions().gap)):
        found = np.concatenate(lengths[online])
        wanted = [getattr(expected, name) for name in ("p5", "p25", "p50", "p75", "p95")]
        assert np.quantile(found, [0.05, 0.25, 0.5, 0.75, 0.95]) == pytest.approx(wanted, rel=0.06)
    share = 7035 / (7035 + 2444)
    spans = Spans(timetable, np.arange(20_000))
    for now in (0.0, 3600.0, 100_000.0):
        spans.move(places, now)
        assert spans.online.mean() == pytest.approx(share, abs=0.013)


def test_short_gaps_are_no_gaps():
    table, exponential = RandomTable(Streams(1), "x"), Exponential(10.0)
    devices = np.arange(200)
    whole, merged = (Spans(Renewals(exponential, exponential, table, gap), devices) for gap in (0.0, 5.0))
    assert (whole.online == merged.online).all()
    for device in range(20):
        plain = plainly(Renewals(exponential, exponential, table), device, 500.0)
        expected = [plain[0]]
        for span, after in itertools.pairwise(plain[1:]):
            if expected[-1][0] and not span[0] and span[2] - span[1] < 5.0:
                expected[-1] = (True, expected[-1][1], after[2])
            elif not (expected[-1][0] and span[0]):
                expected.append(span)
        found = plainly(Renewals(exponential, exponential, table, 5.0), device, 400.0)
        assert found[:-1] == expected[: len(found) - 1]


def test_a_short_way_to_a_later_moment_leads_to_the_same_span():
    timetable = DutyCycle(on="0.1 s", off="0.2 s").timetable(Streams(1), 0, 3)
    slow, fast = (Spans(timetable, np.arange(3)) for _ in range(2))
    for _ in range(2500):
        slow.step(np.arange(3))
    now = float(slow.until.min()) - 1e-6
    slow.move(np.arange(3), now)
    fast.move(np.arange(3), now)
    assert (slow.since[slow.since <= now] == fast.since[slow.since <= now]).all()


def test_a_device_that_is_always_or_never_there_stays_so():
    spans = Spans(Repeated([pattern_of([(0, 10)], 10.0), pattern_of([], 10.0)], np.array([0, 1]), np.zeros(2)), np.arange(2))
    spans.move(np.arange(2), 1e9)
    assert spans.online.tolist() == [True, False]
    assert np.isinf(spans.until).all()
