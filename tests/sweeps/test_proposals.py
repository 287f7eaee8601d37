import itertools
import math
import sys

import pytest

from fedtiny.errors import InputError
from fedtiny.sweeps.proposals import STARTUP_TRIALS, Dimension, Proposals, Verdict

pytest.importorskip("optuna")

SHUFFLED = (2, 0, 1)
GRID = (Dimension("a", (0, 1, 2, 3, 4), is_ordered=True), Dimension("b", (0, 1, 2), is_ordered=False))


def line(length):
    return (Dimension("a", tuple(range(length)), is_ordered=True),)


def searched(dimensions, judge, trials, batch=4, seed=0, directions=("minimize",)):
    """The places that a search asks for, in their order."""
    proposals, places = Proposals(dimensions, directions, seed), []
    while len(places) < trials and (asked := proposals.ask(min(batch, trials - len(places)))):
        places += asked
        for place in asked:
            proposals.tell(place, judge(place))
    return places


def value(*numbers):
    return Verdict(tuple(map(float, numbers)))


def test_every_combination_comes_once_and_then_none():
    places = searched(GRID, lambda place: value(sum(place)), 100)
    assert sorted(places) == sorted(itertools.product(range(5), range(3)))


def test_the_same_seed_proposes_the_same_and_another_one_something_else():
    first, again, other = (searched(line(1000), lambda place: value(place[0]), 24, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_order_in_which_a_batch_is_answered_does_not_matter():
    def asked(turn):
        proposals, places = Proposals(line(1000), ("minimize",), 0), []
        for _ in range(8):
            batch = proposals.ask(4)
            places += batch
            for place in turn(batch):
                proposals.tell(place, value(place[0]))
        return places

    assert asked(list) == asked(lambda batch: list(reversed(batch)))


def test_more_trials_begin_with_the_fewer():
    few, more = (searched(line(1000), lambda place: value(place[0]), trials, batch=4) for trials in (18, 30))
    assert more[:18] == few


def test_an_estimator_finds_a_minimum_sooner_than_chance():
    by_chance = sum(abs(number - 700) for number in range(1000)) / 1000
    for seed in range(3):
        places = searched(line(1000), lambda place: value((place[0] - 700) ** 2), 60, seed=seed)
        late = [abs(place[0] - 700) for place in places[STARTUP_TRIALS:]]
        assert sum(late) / len(late) < by_chance / 2
        assert min(late) < 20


def test_what_has_no_value_is_avoided_and_the_more_so_the_further_away_it_is():
    def judge(place):
        return value(place[0]) if place[0] >= 900 else Verdict(violation=(900 - place[0]) / 900)

    places = searched(line(1000), judge, 60)
    assert sum(place[0] >= 800 for place in places[30:]) > 20  # by chance: 6


def test_a_search_goes_on_where_every_trial_fails_or_has_no_value():
    assert len(searched(GRID, lambda place: Verdict(), 15)) == 15
    assert len(searched(GRID, lambda place: Verdict(violation=1.0), 15, directions=("minimize", "maximize"))) == 15


def test_several_objectives_have_directions_of_their_own():
    places = searched(line(1000), lambda place: value(place[0], -place[0]), 60, directions=("minimize", "maximize"))
    late = [place[0] for place in places[30:]]
    assert sum(late) / len(late) < 250


def test_a_space_too_large_to_list_is_searched():
    dimensions = tuple(Dimension(f"axis {number}", tuple(range(1000)), is_ordered=True) for number in range(8))
    places = searched(dimensions, lambda place: value(sum(place)), 12)
    assert len(set(places)) == 12


def test_where_the_estimator_repeats_itself_any_untried_combination_comes_next():
    proposals = Proposals((Dimension("a", SHUFFLED, is_ordered=True), Dimension("b", (0, 1), is_ordered=False)), ("minimize",), 0)
    proposals._trials = dict.fromkeys([(2, 0), (0, 1), (1, 1)])
    untried = [proposals._untried() for _ in range(100)]
    assert {(SHUFFLED[one["a"]], one["b"]) for one in untried} == {(2, 1), (0, 0), (1, 0)}


def test_without_optuna_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(InputError, match=r"--optimize needs optuna, which is not installed: pip install 'fedtiny\[optimize\]'"):
        Proposals(GRID, ("minimize",), 0)


def test_no_place_is_asked_for_where_there_is_one_alone():
    assert searched((Dimension("a", (0,), is_ordered=True),), lambda place: value(math.pi), 5) == [(0,)]
