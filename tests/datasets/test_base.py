import dataclasses

import numpy as np
import pytest
from pydantic import ValidationError

from fedtiny.datasets.base import Dataset
from fedtiny.datasets.digits import Digits
from fedtiny.datasets.partition import Dirichlet, Iid
from fedtiny.datasets.synthetic import Synthetic
from fedtiny.randomness import Streams

DATASET = Synthetic(examples=20, test_examples=10).load(Streams(0))


def test_the_identity_is_that_of_the_content():
    again = dataclasses.replace(DATASET, train_inputs=DATASET.train_inputs.copy(), source="from somewhere else")
    assert again.identity == DATASET.identity
    assert len(DATASET.identity) == 64


@pytest.mark.parametrize("name", ["train_inputs", "train_targets", "test_inputs", "test_targets"])
def test_a_changed_value_or_shape_changes_the_identity(name):
    array = getattr(DATASET, name)
    changed = array.copy()
    changed.flat[0] += 1
    variants = [changed, array[:-1], array.astype(np.float64), array[:, None]]
    identities = {dataclasses.replace(DATASET, **{name: variant}).identity for variant in variants}
    assert len(identities | {DATASET.identity}) == 5


def test_whose_the_examples_are_is_part_of_the_identity():
    owned = [dataclasses.replace(DATASET, client_train=np.full(20, client)) for client in (0, 1)]
    assert len({DATASET.identity, *(dataset.identity for dataset in owned)}) == 3


def test_the_order_of_memory_does_not_change_the_identity():
    fortran = dataclasses.replace(DATASET, train_inputs=np.asfortranarray(DATASET.train_inputs))
    assert fortran.identity == DATASET.identity


def test_a_data_set_without_its_kind_of_partition_is_iid():
    assert Digits().partition == Iid()


def test_a_data_part_written_plainly_is_read_back_the_same():
    part = Digits(image_size=16, train_examples=50, partition=Dirichlet(alpha=0.5))
    assert Digits.model_validate(part.to_plain()) == part


@pytest.mark.parametrize(
    "stated", [{"image_size": 0}, {"channels": -1}, {"train_examples": 0}, {"image_size": 1e9}, {"partition": {"kind": "equal"}}]
)
def test_numbers_and_kinds_that_make_no_sense_are_refused(stated):
    with pytest.raises(ValidationError):
        Digits.model_validate({"kind": "digits", **stated})


def test_a_data_set_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DATASET.source = "elsewhere"  # type: ignore[misc]
    assert isinstance(DATASET, Dataset)
