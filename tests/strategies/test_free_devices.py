"""Who is free to be asked."""

import random
from collections import Counter

from fedtiny.strategies.free_devices import FreeDevices


def everybody(device):
    return True


def test_nobody_is_taken_twice_before_he_is_given_back():
    free = FreeDevices(range(10), random.Random(1).sample, everybody)
    first, second = free.take(6), free.take(6)
    assert sorted(first + second) == list(range(10))
    assert first == sorted(first)
    assert free.take(1) == []
    free.give_back(7)
    assert free.take(3) == [7]


def test_everybody_is_drawn_as_often():
    sample, counted = random.Random(2).sample, Counter()
    free = FreeDevices(range(5), sample, everybody)
    for _ in range(5000):
        chosen = free.take(2)
        counted.update(chosen)
        for device in chosen:
            free.give_back(device)
    assert set(counted) == set(range(5))
    assert max(counted.values()) < 1.1 * min(counted.values())


def test_the_only_free_one_costs_no_draw():
    def never(devices, count):
        raise AssertionError("nothing to draw")

    assert FreeDevices([3], never, everybody).take(2) == [3]


def test_who_is_not_there_is_not_taken_and_the_others_as_often():
    there, counted = {1, 4, 5, 8}, Counter()
    free = FreeDevices(range(10), random.Random(3).sample, there.__contains__)
    for _ in range(4000):
        chosen = free.take(2)
        counted.update(chosen)
        for device in chosen:
            free.give_back(device)
    assert set(counted) == there
    assert max(counted.values()) < 1.1 * min(counted.values())
    assert sorted(free.take(9)) == sorted(there)
    assert len(free) == 6
    assert free.take(1) == []
    there.add(2)
    assert free.take(5) == [2]
