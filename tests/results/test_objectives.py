import re

import pytest

from fedtiny.errors import InputError
from fedtiny.results.objectives import OBJECTIVES, objectives_of
from fedtiny.results.sweep import cells_schema

ROW = {"accuracy": 0.5, "bytes_up": 3, "bytes_down": 4, "time_to_target": None}


def test_every_objective_is_made_of_columns_of_cells_parquet():
    assert {column for one in OBJECTIVES.values() for column in one.columns} <= set(cells_schema(()).names)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match=re.escape("cannot search for memory: name one or several")) as error:
        objectives_of(["accuracy", "memory"])
    assert "accuracy (as high as possible)" in str(error.value)
    assert all(name in str(error.value) for name in OBJECTIVES)


def test_no_name_is_said_to_be_nothing():
    with pytest.raises(InputError, match="cannot search for nothing"):
        objectives_of([""])


def test_a_name_is_said_once():
    with pytest.raises(InputError, match="named twice in loss,loss"):
        objectives_of(["loss", "loss"])


def test_accuracy_alone_is_to_be_high():
    assert [name for name, one in OBJECTIVES.items() if one.loss(2.0) < one.loss(1.0)] == ["accuracy"]


def test_bytes_are_those_of_both_ways():
    assert OBJECTIVES["bytes"].of(ROW) == 7.0
    assert OBJECTIVES["bytes"].of({**ROW, "bytes_up": None}) is None


def test_a_mean_takes_every_seed_or_is_none():
    accuracy = OBJECTIVES["accuracy"]
    assert accuracy.mean([ROW, {"accuracy": 1.0}]) == 0.75
    assert accuracy.mean([ROW, {"accuracy": None}]) is None
    assert accuracy.mean([]) is None
