"""From seconds to claims: benchmarks/speed/verdicts.py, which is a script's file and no module of the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SPEED = Path(__file__).parents[2] / "benchmarks" / "speed"


@pytest.fixture(scope="module")
def verdicts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fedtiny_benchmark_verdicts", SPEED / "verdicts.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_speedup_is_a_ratio_of_medians_and_one_slow_block_does_not_move_it(verdicts: ModuleType) -> None:
    blocks = {"FedTiny": [1.0, 1.0, 50.0], "bare loop": [2.0, 2.0, 2.0]}
    assert verdicts.speedup(blocks) == 2.0


def test_a_claim_of_at_least_is_met_at_its_target_and_not_below(verdicts: ModuleType) -> None:
    assert verdicts.Claim("x", 2.0, 2.0, at_least=True).met
    assert not verdicts.Claim("x", 1.99, 2.0, at_least=True).met
    assert not verdicts.Claim("x", 1.11, 1.1, at_least=False).met


def test_a_claim_against_a_runner_that_was_not_there_is_not_made(verdicts: ModuleType) -> None:
    made = verdicts.claims({"a": {"FedTiny": [1.0], "bare loop": [3.0]}}, {"a": 10})
    assert [(claim.text, claim.measured) for claim in made] == [("a: faster than bare loop", 3.0)]


def test_the_client_task_costs_what_one_by_one_takes_over_the_bare_loop_for_each_client(verdicts: ModuleType) -> None:
    blocks = {"FedTiny": [1.0], "bare loop": [0.004], "FedTiny, one by one": [0.006]}
    task = verdicts.claims({"a": blocks}, {"a": 10})[-1]
    assert task.unit == "µs"
    assert task.measured == pytest.approx(200)
    assert task.met


def test_delayed_averaging_may_be_a_fifth_slower_than_its_twin(verdicts: ModuleType) -> None:
    measured = {
        "b-bias": {"FedTiny": [1.0], "bare loop": [4.0], "big batch": [1.0]},
        "d-bias": {"FedTiny": [1.0], "bare loop": [3.3]},
    }
    made = {claim.text: claim for claim in verdicts.claims(measured, {"b-bias": 50, "d-bias": 64})}
    wanted = made["d-bias: faster than bare loop, within 20 % of what is wanted of b-bias"]
    assert (wanted.target, wanted.met) == (pytest.approx(1.6), True)
    twin = made["d-bias: the same within 20 % of what b-bias reaches"]
    assert twin.target == pytest.approx(3.2)
    assert twin.met


def test_a_missed_target_is_said_in_the_table(verdicts: ModuleType) -> None:
    assert "**not met**" in verdicts.Claim("x", 1.0, 2.0, at_least=True).row
    assert "not met" not in verdicts.Claim("x", 2.0, 2.0, at_least=True).row


def test_both_ways_to_write_the_loop_are_claimed_against_by_name(verdicts: ModuleType) -> None:
    blocks = {"FedTiny": [1.0], "bare loop": [1.0], "loop with torch.optim.SGD": [2.0]}
    made = verdicts.claims({"a": blocks, "c": blocks}, {"a": 10, "c": 50})
    assert {claim.text: claim.met for claim in made} == {
        "a: faster than bare loop": False,
        "a: faster than loop with torch.optim.SGD": True,
        "c: time over that of bare loop": True,
        "c: time over that of loop with torch.optim.SGD": True,
    }
