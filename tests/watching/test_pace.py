"""What is foreseen is the later half's pace, and nothing is foreseen where nothing is known."""

import pytest

from fedtiny.watching.pace import Pace


def paced(*seen):
    pace = Pace()
    for now, share in seen:
        pace.note(now, share)
    return pace


def test_at_an_even_pace_the_rest_takes_its_share_and_counts_down_between_notes():
    pace = paced(*((10.0 + step, step / 20) for step in range(6)))
    assert pace.left(15.0) == pytest.approx(15.0)
    assert pace.left(19.0) == pytest.approx(11.0)


def test_nothing_is_foreseen_before_anything_was_done_nor_after_the_foreseen_time():
    assert paced().left(0.0) is None
    assert paced((0.0, 0.0)).left(5.0) is None
    assert paced((0.0, 0.0), (5.0, 0.0)).left(5.0) is None
    late = paced((0.0, 0.0), (1.0, 0.5))
    assert late.left(1.5) == pytest.approx(0.5)
    assert late.left(2.5) is None


def test_a_slow_beginning_is_forgotten():
    slow = [(0.0, 0.0), (10.0, 0.1)]
    fast = [(10.0 + step, 0.1 + 0.02 * step) for step in range(1, 21)]
    assert paced(*slow, *fast).left(30.0) == pytest.approx(25.0, rel=0.05)


def test_a_million_notes_keep_their_pace():
    pace = paced(*((float(step), step / 2_000_000) for step in range(1_000_000)))
    assert pace.left(999_999.0) == pytest.approx(1_000_001, rel=1e-6)


def test_what_is_done_needs_no_time():
    assert paced((0.0, 0.0), (4.0, 1.0)).left(9.0) == 0
