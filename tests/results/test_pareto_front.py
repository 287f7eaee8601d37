import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.results.pareto_front import as_losses, on_front


def beats(one, other):
    """Whether a point is as small in everything and smaller in something, both without unknowns: the definition, value by value."""
    if None in one:
        return False
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


@given(st.integers(1, 4).flatmap(lambda size: st.lists(st.tuples(*[st.none() | st.integers(0, 4)] * size), max_size=12)))
def test_the_front_is_what_no_other_beats(points):
    size = len(points[0]) if points else 1
    expected = [None not in point and not any(beats(other, point) for other in points) for point in points]
    assert on_front(as_losses(points, size)) == expected


def test_of_equal_points_all_are_on_the_front():
    assert on_front(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])) == [True, True, False]


def test_with_one_objective_the_front_is_the_least():
    assert on_front(as_losses([(3.0,), (None,), (1.0,), (2.0,)], 1)) == [False, False, True, False]
