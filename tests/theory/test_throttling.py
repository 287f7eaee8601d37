"""A hot processor: closed forms for any series of work and rest, in a device and in a whole run."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fedtiny
from fedtiny.fleet.limits import Throttling
from fedtiny.plan import plan
from fedtiny.simulation.heat import Heat

AFTER, FACTOR = 300.0, 0.7


def heat():
    return Heat(Throttling(after=f"{AFTER} s", factor=FACTOR))


def series(work):
    """Seconds of continuous work that takes `work` seconds on a cool processor."""
    return work if work <= AFTER else AFTER + (work - AFTER) / FACTOR


@given(pieces=st.lists(st.floats(0.0, 500.0), min_size=1, max_size=12))
def test_work_without_rest_takes_what_the_sum_of_it_takes(pieces):
    processor, now = heat(), 0.0
    for piece in pieces:
        now += processor.takes(now, piece)
    assert now == pytest.approx(series(math.fsum(pieces)), abs=1e-9)


def test_a_processor_that_is_busy_half_of_the_time_never_throttles():
    processor, now = heat(), 0.0
    for _ in range(1000):
        assert processor.takes(now, 20.0) == 20.0
        now += 40.0


def test_rest_for_as_long_as_it_takes_to_get_hot_cools_it_again_and_half_of_that_half():
    for rest, cold in ((AFTER, AFTER), (2 * AFTER, AFTER), (AFTER / 2, AFTER / 2), (0.0, 0.0)):
        processor = heat()
        taken = processor.takes(0.0, 1000.0)
        assert taken == pytest.approx(series(1000.0))
        assert processor.takes(taken + rest, 1000.0) == pytest.approx(cold + (1000.0 - cold) / FACTOR)


@given(gap=st.floats(0.0, 1000.0), first=st.floats(0.0, 1000.0), second=st.floats(0.0, 1000.0))
def test_more_rest_never_makes_work_longer(gap, first, second):
    rested, hurried = heat(), heat()
    end = rested.takes(0.0, first)
    hurried.takes(0.0, first)
    assert second <= rested.takes(end + gap, second) + 1e-9 <= hurried.takes(end, second) + 2e-9


SCENARIO = """
name: hot
model: linear
data: {kind: synthetic, examples: 20, test_examples: 4}
training: {batch_size: 5, local_steps: 4}
strategy: fedavg
fleet:
  - {count: 2, device: {kind: custom, memory: 1 GB, step_time: 1 s, power: {idle: 1 W, active: 3 W},
                        throttling: {after: 10 s, factor: 0.5}}, network: {kind: custom, latency: 500 ms}}
stop: {rounds: 6}
"""


def hot(tmp_path, **overrides):
    path = tmp_path / "hot.yaml"
    path.write_text(SCENARIO)
    return fedtiny.load_scenario(path, overrides)


def test_rounds_get_longer_as_heat_builds_up_and_plan_and_run_agree(tmp_path):
    # 4 s of work and 1 s of rest a round: h = 4, 7, 10; then what the second of rest cooled is fast and 3 s of 4 take double
    result = fedtiny.run(hot(tmp_path))
    ends = result.rounds["virtual_time"].to_pylist()
    spans = [after - before for before, after in pairwise(ends)]
    assert spans == pytest.approx([5.0, 5.0, 5.0, 1 + 1 + 3 / 0.5, 1 + 1 + 3 / 0.5, 1 + 1 + 3 / 0.5], abs=1e-9)
    planned = plan(hot(tmp_path, learning="none")).document
    assert planned["virtual_time"] == result.summary["virtual_time"]
    assert planned["energy"] == pytest.approx(result.summary["energy"], rel=1e-12)
    assert planned["classes"][0]["compute_seconds"] == 4.0


def test_a_scenario_can_say_that_nothing_throttles(tmp_path):
    cool = fedtiny.run(hot(tmp_path, **{"device.throttling": False}))
    assert cool.summary["virtual_time"] == pytest.approx(6 * 5.0)
