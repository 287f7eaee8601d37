import itertools

import pytest

from fedtiny.errors import ScenarioError
from fedtiny.scenario.files import read_tree
from fedtiny.sweeps.axes import cross, parse_axis
from fedtiny.sweeps.search_space import search_space


def space_of(path, *axes, seeds=1):
    return search_space(read_tree(path), path.parent, [parse_axis(axis) for axis in axes], seeds)


def test_every_place_is_the_cell_that_a_sweep_has_there(tiny):
    axes, seeds = ("update=full,last", "fleet.0.network.latency=1 s,10 ms,100 ms"), 2
    space = space_of(tiny(), *axes, seeds=seeds)
    cells = [cell for place in itertools.product(range(2), range(3)) for cell in space.cells(place)]
    crossed = cross(read_tree(tiny()), tiny().parent, [parse_axis(axis) for axis in axes], seeds)
    assert [(cell.id, cell.labels) for cell in cells] == [(cell.id, cell.labels) for cell in crossed.cells]
    assert space.sweep(cells).scenario_yaml == crossed.scenario_yaml
    assert space.combinations == 6


def test_numbers_and_quantities_are_ordered_and_anything_else_is_not(tiny):
    axes = ("training.local_steps=8,2,4", "fleet.0.network.latency=1 s,10 ms,100 ms", "update=full,last", "update, seed_of=[full, 1]")
    found = space_of(tiny(), *axes).dimensions
    assert [(one.places, one.is_ordered) for one in found] == [((1, 2, 0), True), ((1, 2, 0), True), ((0, 1), False), ((0,), False)]


def test_all_choices_are_looked_at_with_the_ends_of_ranges(tiny):
    space = space_of(tiny(), "update=full,last,norm_last", "training.local_steps=2..1000:500", "training.batch_size=4")
    assert space.samples() == list(itertools.product((0, 1, 2), (0, 499), (0,)))


def test_where_these_are_too_many_each_is_looked_at_once(tiny):
    space = space_of(tiny(), *(f"training.{key}=a,b,c,d,e" for key in ("x", "y", "z")))
    assert len(space.samples()) == 1 + 3 * 4
    assert {place[0] for place in space.samples()} == set(range(5))


def test_a_space_may_have_more_combinations_than_a_sweep_may_have_runs(tiny):
    space = space_of(tiny(), *(f"training.{key}=1..1000000:1000" for key in ("local_steps", "batch_size", "seed", "x", "y", "z", "u")))
    assert space.combinations == 10**21


def test_without_axes_there_is_nothing_to_choose(tiny):
    with pytest.raises(ScenarioError, match="--optimize has nothing to choose: name what may change, such as --axis"):
        space_of(tiny())


def test_the_seed_is_no_axis_of_a_search_either(tiny):
    with pytest.raises(ScenarioError, match="seed cannot be an axis"):
        space_of(tiny(), "seed=1,2")
