"""Messages and replies in virtual time as sizes alone."""

import math

import pytest

from fedtiny.errors import SimulationError
from fedtiny.fleet.device import CustomDevice
from fedtiny.fleet.fleet import Traits
from fedtiny.fleet.network import CustomNetwork
from fedtiny.randomness import Streams
from fedtiny.simulation.device import Execution
from fedtiny.simulation.exchange import Exchange, Instruction, Participation, TimeIsUp
from fedtiny.simulation.trace import Trace

SECONDS = {0: 1.0, 1: 2.0, 2: 4.0}


def traits(number: int, **network: str) -> Traits:
    device = CustomDevice.model_validate({"kind": "custom", "memory": "1 GB", "step_time": "1 s"}).profile()
    link = CustomNetwork.model_validate({"kind": "custom", "latency": "500 ms", **network}).profile()
    return Traits(number, 0, number, "group", device, link)


def exchange(asked: list[int] | None = None, *, lifetime: float = math.inf, horizon: float = math.inf, **network: str) -> Exchange:
    def found(number: int) -> Traits:
        if asked is not None:
            asked.append(number)
        return traits(number, **network)

    def effort(number: int, instruction: Instruction) -> tuple[Execution, bool]:
        return Execution(SECONDS.get(number, 1.0), 10.0, 100, 80), instruction.piece == "train"

    return Exchange(found, effort, Streams(1), Trace(), lifetime=lifetime, horizon=horizon)


def order(number: int, piece: str = "train") -> Instruction:
    return Instruction(number, piece, 1, True, 100, 80)


def numbers(errands) -> list[int]:
    return [errand.number for errand in errands]


def test_waiting_ends_with_the_last_reply():
    grid = exchange()
    asked = grid.push((number, order(1)) for number in (2, 0, 1))
    assert numbers(grid.wait(asked)) == [2, 0, 1]
    assert (grid.now, grid.last_arrival) == (5.0, 2)
    assert grid.close_round(1) == Participation(3, 0)


def test_a_timeout_hands_over_what_has_come():
    grid = exchange()
    asked = grid.push((number, order(1)) for number in (0, 1, 2))
    assert numbers(grid.wait(asked, 3.0)) == [0, 1]
    assert (grid.now, grid.last_arrival) == (3.0, None)
    assert grid.close_round(1) == Participation(2, 1)
    assert numbers(grid.wait(asked[2:])) == [2]
    assert grid.trace.activities[-1].outcome == "late"


def test_the_horizon_ends_the_run_where_it_is():
    grid = exchange(horizon=3.0)
    asked = grid.push([(2, order(1))])
    with pytest.raises(TimeIsUp):
        grid.wait(asked)
    assert grid.now == 3.0


def test_a_message_whose_lifetime_is_over_is_a_failure_and_is_not_delivered():
    grid = exchange(lifetime=3.0)
    asked = grid.push((number, order(1)) for number in (0, 2))
    came = grid.wait(asked)
    assert [(errand.number, errand.expired) for errand in came] == [(0, False), (2, True)]
    assert grid.now == 3.0
    assert grid.close_round(1) == Participation(1, 1)


def test_a_reply_without_arrays_is_no_contribution():
    grid = exchange()
    grid.wait(grid.push([(0, order(1, "before"))]))
    assert grid.close_round(1) == Participation(0, 1)


def test_awaiting_what_nobody_sends_is_an_error():
    grid = exchange()
    asked = grid.push([(0, order(1))])
    grid.wait(asked)
    asked[0].arrived = False
    with pytest.raises(SimulationError, match="1 replies are awaited"):
        grid.wait(asked)


@pytest.mark.parametrize(("jitter", "made_again"), [("0 s", True), ("10 ms", False)])
def test_an_idle_device_is_forgotten_unless_its_link_draws_at_random(jitter, made_again):
    made: list[int] = []
    grid = exchange(made, jitter=jitter)
    for number, node in enumerate((0, 1, 1, 0), start=1):
        grid.wait(grid.push([(node, order(number))]))
    assert made == ([0, 1, 0] if made_again else [0, 1])


def test_a_burst_reaches_its_device_in_order():
    grid = exchange()
    grid.wait(grid.push([(0, order(1)), (0, order(2))]))
    trained = [activity.round for activity in grid.trace.activities if activity.kind == "train"]
    assert (trained, grid.now) == ([1, 2], 3.0)
