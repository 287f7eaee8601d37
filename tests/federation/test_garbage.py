"""What was there before a run is left out of collections, and only while the run goes on."""

import gc

import pytest

from fedtiny.federation.garbage import quick_collections


def test_what_was_there_before_is_left_out_of_collections_while_a_run_goes_on():
    before = gc.get_freeze_count()
    with quick_collections():
        assert gc.get_freeze_count() > before
    assert gc.get_freeze_count() == 0


def test_it_is_looked_through_again_after_an_error():
    with pytest.raises(ValueError, match="over"), quick_collections():
        raise ValueError("over")
    assert gc.get_freeze_count() == 0
