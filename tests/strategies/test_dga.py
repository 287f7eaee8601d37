"""DGA's numbers: what K and D make of lags, rounds in flight and vectors on a client."""

import math

import pytest

from fedtiny.strategies.dga import DGA

PAIRS = [(k, d) for k in (1, 2, 3, 5) for d in range(1, 26)]


@pytest.mark.parametrize(("local_steps", "delay"), PAIRS)
def test_a_delay_of_d_steps_keeps_d_over_k_rounds_in_flight_rounded_up(local_steps, delay):
    strategy = DGA(delay=delay)
    assert strategy.rounds_in_flight(local_steps) == math.ceil(delay / local_steps) == (delay - 1) // local_steps + 1
    assert strategy.client_vectors(local_steps) == strategy.rounds_in_flight(local_steps) + 1


@pytest.mark.parametrize(("local_steps", "multiple"), [(1, 1), (2, 3), (5, 4)])
def test_sending_early_keeps_one_more_round_in_flight(local_steps, multiple):
    early = DGA(delay=local_steps * multiple, send="early")
    assert early.rounds_in_flight(local_steps) == multiple + 1
    assert early.client_vectors(local_steps) == multiple + 1


def test_without_delay_one_sum_waits_for_its_average():
    assert DGA(delay=0).rounds_in_flight(7) == DGA(delay=0).client_vectors(7) == 1


def test_the_numbers_of_the_paper():
    assert DGA(delay=20).rounds_in_flight(5) == 4


@pytest.mark.parametrize("delay", [-1, 1.5, "3", None])
def test_a_delay_is_a_count(delay):
    with pytest.raises(ValueError, match="delay"):
        DGA(delay=delay)
