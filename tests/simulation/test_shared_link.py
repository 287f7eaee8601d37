"""A shared link is fair, keeps busy, and takes the time that theory says."""

import math
import sys
from dataclasses import dataclass
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from fedtiny.simulation.agenda import agenda_of
from fedtiny.simulation.shared_link import SharedLink, shared_link


@dataclass(frozen=True)
class Transfer:
    """Begins at a time (s), has a size (bytes), and its device can do so many bytes per second; it may be stopped."""

    begins: float
    size: float
    limit: float = math.inf
    stops: float | None = None


def simulated(capacity: float, transfers: list[Transfer]) -> list[float]:
    """When each transfer ends (s); for one that is stopped, the bytes that it had left, negative."""
    environment = simpy.Environment()
    link = SharedLink(agenda_of(environment), capacity)
    ends = [math.nan] * len(transfers)

    def end(place: int) -> None:
        ends[place] = environment.now

    def begin(place: int) -> None:
        one = transfers[place]
        flow = link.begin(one.size, one.limit, place, (end,))
        if one.stops is not None:
            environment.timeout(one.stops - one.begins).callbacks.append(lambda _: stop(place, flow))

    def stop(place: int, flow: Any) -> None:
        if math.isnan(ends[place]):
            left = link.stop(flow)
            # what is stopped just when it ends has ended
            ends[place] = -left if left > 1e-9 * transfers[place].size else environment.now

    for place, one in enumerate(transfers):
        environment.timeout(one.begins).callbacks.append(lambda _, place=place: begin(place))
    environment.run()
    return ends


def levelled(capacity: float, limits: list[float]) -> list[float]:
    """Max-min fair rates, by filling all of them alike until each has its limit or nothing is left."""
    rates, left, open_to = [0.0] * len(limits), capacity, set(range(len(limits)))
    while open_to:
        share = left / len(open_to)
        full = {place for place in open_to if limits[place] <= share}
        for place in full or open_to:
            rates[place] = min(limits[place], share)
        left -= sum(limits[place] for place in full)
        open_to = open_to - full if full else set()
    return rates


def slowly(capacity: float, transfers: list[Transfer]) -> list[float]:
    """The same as `simulated`, by the definition: from one event to the next everybody flows at the fair rate."""
    left = [one.size for one in transfers]
    ends = [math.nan] * len(transfers)
    now, waiting = 0.0, sorted({one.begins for one in transfers} | {one.stops for one in transfers if one.stops is not None})
    while any(math.isnan(end) for end in ends):
        going = [place for place, one in enumerate(transfers) if one.begins <= now and math.isnan(ends[place])]
        rates = dict(zip(going, levelled(capacity, [transfers[place].limit for place in going]), strict=True))
        soonest = min((now + left[place] / rates[place] for place in going), default=math.inf)
        following = min([soonest, *[moment for moment in waiting if moment > now]])
        for place in going:
            left[place] -= rates[place] * (following - now)
            if left[place] <= 1e-9 * transfers[place].size:
                ends[place] = following
            elif transfers[place].stops is not None and transfers[place].stops <= following:
                ends[place] = -left[place]
        now = following
    return ends


@pytest.mark.parametrize("count", [1, 2, 7, 1000])
def test_n_equal_transfers_that_begin_together_take_n_times_one(count):
    one = simulated(125e6, [Transfer(0.0, 103_936.0)])[0]
    assert one == pytest.approx(103_936.0 / 125e6, rel=1e-12)
    assert simulated(125e6, [Transfer(0.0, 103_936.0)] * count) == pytest.approx([count * one] * count, rel=1e-9)


def test_staggered_transfers_share_while_they_are_there():
    # 100 B/s. A: 300 B from 0 s. B: 100 B from 1 s. C: 200 B from 2 s.
    # 0-1: A alone, 200 left. 1-2: A and B at 50, A 150 left, B 50 left. From 2: all at 33.3; B ends at 2 + 50 / 33.3 = 3.5,
    # A has 100 left and C 150. Then A and C at 50: A ends at 5.5, C has 50 left, and ends alone at 6.
    ends = simulated(100.0, [Transfer(0.0, 300.0), Transfer(1.0, 100.0), Transfer(2.0, 200.0)])
    assert ends == pytest.approx([5.5, 3.5, 6.0], rel=1e-12)


def test_what_a_slow_device_leaves_is_for_the_others():
    # 100 B/s; one device can do 10 B/s, so the two others have 45 each, and when it alone is left it has no more than its 10
    ends = simulated(100.0, [Transfer(0.0, 100.0, limit=10.0), Transfer(0.0, 90.0), Transfer(0.0, 90.0)])
    assert ends == pytest.approx([10.0, 2.0, 2.0], rel=1e-12)


def test_a_device_that_was_limited_shares_when_others_come_and_is_limited_again_when_they_have_gone():
    # alone 60 of 100 B/s; from 1 s on two others leave it 100 / 3; they end at 1 + 100 / (100 / 3) = 4 s. 600 - 60 - 100 = 440 at 60
    ends = simulated(100.0, [Transfer(0.0, 600.0, limit=60.0), Transfer(1.0, 100.0), Transfer(1.0, 100.0)])
    assert ends == pytest.approx([4.0 + 440 / 60, 4.0, 4.0], rel=1e-12)


def test_a_transfer_that_is_stopped_leaves_its_share_to_the_others():
    # both at 50 B/s until 1 s; then the other alone: 250 left at 100
    ends = simulated(100.0, [Transfer(0.0, 300.0), Transfer(0.0, 300.0, stops=1.0)])
    assert ends == pytest.approx([3.5, -250.0], rel=1e-12)


def test_a_transfer_that_is_stopped_just_when_it_would_end_takes_no_other_with_it():
    assert simulated(100.0, [Transfer(0.0, 100.0, stops=2.0), Transfer(0.0, 300.0)])[1] == pytest.approx(4.0, rel=1e-12)


@pytest.mark.parametrize("moment", [0.5, 2.0])
def test_a_limit_can_change_meanwhile(moment):
    environment = simpy.Environment()
    link = SharedLink(agenda_of(environment), 100.0)
    ended: list[float] = []
    flow = link.begin(300.0, 50.0, None, (lambda _: ended.append(environment.now),))
    environment.timeout(moment).callbacks.append(lambda _: link.change(flow, 200.0))
    environment.run()
    assert ended == pytest.approx([moment + (300 - 50 * moment) / 100], rel=1e-12)


SIZES = st.floats(1.0, 1e6)
TIMES = st.one_of(st.integers(0, 5).map(float), st.floats(0.0, 50.0))
LIMITS = st.one_of(st.just(math.inf), st.sampled_from([10.0, 1000.0]), st.floats(1.0, 1e5))
TRANSFERS = st.lists(st.builds(Transfer, TIMES, SIZES, LIMITS), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.floats(10.0, 1e5), TRANSFERS)
def test_it_does_what_the_definition_says(capacity, transfers):
    assert simulated(capacity, transfers) == pytest.approx(slowly(capacity, transfers), rel=1e-9, abs=1e-9)


@settings(deadline=None)
@given(st.floats(10.0, 1e5), TRANSFERS, st.floats(0.1, 100.0), st.data())
def test_it_does_what_the_definition_says_when_transfers_are_stopped(capacity, transfers, after, data):
    chosen = data.draw(st.sets(st.integers(0, len(transfers) - 1)))
    some = [
        Transfer(one.begins, one.size, one.limit, one.begins + after) if place in chosen else one for place, one in enumerate(transfers)
    ]
    assert simulated(capacity, some) == pytest.approx(slowly(capacity, some), rel=1e-6, abs=1e-3)


@settings(deadline=None)
@given(st.floats(10.0, 1e5), st.lists(SIZES, min_size=1, max_size=30))
def test_it_is_never_idle_while_somebody_has_something_to_send(capacity, sizes):
    transfers = [Transfer(0.01 * place, size) for place, size in enumerate(sizes)]
    busy = 0.0
    for one in transfers:
        busy = max(busy, one.begins) + one.size / capacity
    assert max(simulated(capacity, transfers)) == pytest.approx(busy, rel=1e-9)


def calls_of(transfers: list[Transfer]) -> int:
    """How many functions are called to simulate them."""
    count = 0

    def called(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(called)
    try:
        simulated(1e6, transfers)
    finally:
        sys.setprofile(None)
    return count


def test_thousands_at_once_take_no_step_for_each_pair():
    few, many = ([Transfer(0.001 * place, 1e5 + 37 * place % 1000, 100.0 + place % 997) for place in range(n)] for n in (500, 4000))
    assert calls_of(many) < 8 * 1.5 * calls_of(few)


def test_devices_of_one_environment_share_a_link_of_a_name_and_an_unlimited_one_is_none():
    agenda, other = agenda_of(simpy.Environment()), agenda_of(simpy.Environment())
    link = shared_link(agenda, ("server", "uplink"), 1e6)
    assert link is shared_link(agenda, ("server", "uplink"), 1e6)
    assert link is not shared_link(agenda, ("server", "downlink"), 1e6)
    assert link is not shared_link(other, ("server", "uplink"), 1e6)
    assert shared_link(agenda, ("server", "downlink"), math.inf) is None
