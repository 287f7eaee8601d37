"""Who is asked what in DGA, in plain numbers."""

import pytest

from fedtiny.strategies.dga_orders import Orders, Schedule


def schedule(delay: int, steps: int = 5, *, whole: bool = False) -> Schedule:
    return Schedule.constant(steps, delay, whole=whole)


def everybody(*nodes: int):
    return lambda: list(nodes)


def brief(orders):
    return [(order.piece, order.round, order.carries, order.first, order.through) for order in orders]


def test_the_rounds_before_the_first_correction_start_at_once():
    orders = Orders(schedule(7), 9, everybody(1))
    assert brief(orders.start()) == [
        ("before", 1, "model", 0, 0),
        ("after", 1, "nothing", 0, 0),
        ("before", 2, "nothing", 0, 0),
        ("after", 2, "nothing", 0, 0),
        ("before", 3, "nothing", 0, 0),
    ]
    assert brief(orders.after(1)) == [("after", 3, "averages", 1, 1), ("before", 4, "nothing", 0, 0)]


def test_pieces_of_a_round_ask_for_its_local_steps_together():
    before, after = Orders(schedule(7), 1, everybody(1)).start()
    assert (before.steps, after.steps) == (2, 3)


def test_nothing_of_a_round_after_the_last_is_ordered():
    orders = Orders(schedule(5), 2, everybody(1, 2))
    assert max(order.round for order in orders.start()) == 2
    assert [order.round for order in orders.after(1)] == [2, 2]
    assert orders.after(2) == []
    assert Orders(schedule(5), 0, everybody(1)).start() == []


def test_a_client_that_failed_is_brought_back_with_a_whole_model():
    orders = Orders(schedule(0, whole=True), 9, everybody(1, 2))
    orders.start()
    orders.failed(2)
    assert [(order.node, order.carries) for order in orders.after(1)] == [(1, "averages"), (2, "model")]


def test_a_client_is_sent_the_sum_of_all_averages_that_it_missed():
    cohorts = iter([[1, 2], [1], [1], [2]])
    orders = Orders(schedule(0, whole=True), 4, lambda: next(cohorts))
    orders.start()
    orders.after(1)
    orders.after(2)
    assert brief(orders.after(3)) == [("whole", 4, "averages", 1, 3)]


@pytest.mark.parametrize(("missed", "carries"), [(100, "averages"), (101, "model")])
def test_a_client_that_missed_more_averages_than_are_kept_gets_a_model(missed, carries):
    cohorts = iter([[1, 2], *([1] for _ in range(missed - 1)), [2]])
    orders = Orders(schedule(0, whole=True), missed + 1, lambda: next(cohorts))
    orders.start()
    for number in range(1, missed):
        orders.after(number)
    assert [order.carries for order in orders.after(missed)] == [carries]


def test_an_average_is_awaited_by_the_last_step_once_the_first_is_under_way():
    orders = Orders(schedule(5, whole=True), 4, everybody(1))
    assert [order.awaits_average for order in orders.start()] == [False, True]


def test_the_delay_of_every_round_is_known_until_its_average_was_used():
    chosen = iter([12, 12, 1, 3, 7])
    orders = Orders(Schedule(5, whole=False, delay=lambda _: next(chosen)), 5, everybody(1))
    orders.start()
    found = []
    for number in range(1, 6):
        found.append(orders.delay(number))
        orders.after(number)
    assert found == [12, 12, 1, 3, 7]
