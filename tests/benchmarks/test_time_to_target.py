"""The figure of time to target against latency: benchmarks/delay/time_to_target.py, a script's file and no module of the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

DELAY = Path(__file__).parents[2] / "benchmarks" / "delay"
ROUND_TRIPS = (0.05, 0.5, 1.0)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(DELAY))
    try:
        spec = importlib.util.spec_from_file_location("fedtiny_time_to_target", DELAY / "time_to_target.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(DELAY))
    return module


def reached(time, clock=0.5):
    return {"time": time, "clock": clock, "learning": None if time is None or clock is None else time / clock}


def points(script, seed_of, partitions=None):
    return {
        (partition, name): {trip: [seed_of(partition, name, trip, seed) for seed in range(3)] for trip in ROUND_TRIPS}
        for partition in partitions or script.PARTITIONS
        for name in script.LOOK
    }


def of_nobody(*_):
    return reached(None)


def of_all_but_shards(partition, name, trip, seed):
    return reached(None if partition == "shards" else 10 + trip + seed)


def of_no_round(*_):
    return reached(None, clock=None)


@pytest.mark.parametrize("seed_of", [of_nobody, of_all_but_shards, of_no_round])
def test_a_figure_is_drawn_where_no_run_reaches_the_target(script, tmp_path, seed_of):
    script.draw(script.table(points(script, seed_of)), tmp_path / "figure")
    told = (tmp_path / "figure.svg").read_text().count("no strategy reaches")
    empty = {of_nobody: 6, of_all_but_shards: 2, of_no_round: 9}[seed_of]
    assert told == empty
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_a_strategy_of_which_a_seed_does_not_arrive_has_no_mean_but_says_how_many_did(script):
    rows = script.table(points(script, lambda _partition, _name, trip, seed: reached(None if seed else 10.0), partitions=["iid"]))
    assert {row["time_seeds"] for row in rows} == {1}
    assert {script.text(row) for row in rows} == {"1 of 3 seeds"}
    assert script.text(script.table(points(script, of_nobody))[0]) == "never"


def test_the_published_speed_ups_are_found_between_the_round_trips(script):
    speedup = {0.05: 1.0, 0.5: 2.0, 1.0: 4.0}
    rows = script.table(
        points(script, lambda _partition, name, trip, _seed: reached(10.0 if name == "DGA, D auto" else 10 * speedup[trip]), ["iid"])
    )
    small, large = script.published_at(rows, "iid")
    # L / (K c) is 1 at 0.5 s and 2 at 1 s
    assert small.startswith(f"2.55 at L/(Kc) = {1 + 0.55 / 2:.1f}")
    assert large == "4.07: not reached up to L/(Kc) = 2, where it is 4.00"
