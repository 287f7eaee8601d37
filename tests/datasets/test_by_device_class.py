"""Labels that live mostly on the devices of one class: where they are, how many each device has, and what cannot be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fedtiny.datasets.by_device_class import ByDeviceClass, _filled
from fedtiny.datasets.partition_family import KnownOfClients
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

TARGETS = np.random.default_rng(0).integers(0, 10, 1200)
FLEET = np.array([2, 0, 1, 0, 2, 1, 0, 2, 1, 1, 0, 2])


def split(targets=TARGETS, fleet=FLEET, seed=0, **keys):
    known = KnownOfClients(device_classes=np.asarray(fleet))
    return ByDeviceClass(**{"home": {"smallest": [0, 1, 2]}, **keys}).split(targets, len(fleet), Streams(seed), known)


def share_at(parts, labels, device_class, fleet=FLEET):
    """The share of the labels' examples that the devices of a class hold."""
    here = np.concatenate([part for part, of in zip(parts, fleet, strict=True) if of == device_class])
    return np.isin(TARGETS[here], labels).sum() / np.isin(TARGETS, labels).sum()


def test_the_stated_share_lives_at_home_and_the_rest_is_spread_over_all():
    parts = split()
    # beside the 90 %, home gets its part of the rest
    assert 0.9 <= share_at(parts, [0, 1, 2], 0) < 0.93
    assert share_at(parts, [0, 1, 2], 1) > 0.02
    assert 0.05 < share_at(parts, [3], 0) < 0.2


def test_sizes_are_equal_where_home_is_not_too_small():
    sizes = [len(part) for part in split()]
    assert max(sizes) - min(sizes) <= 1


def test_a_class_with_more_than_its_equal_share_from_home_gets_nothing_else():
    parts = split(fleet=[0, 1, 1, 1, 1, 1], home={"smallest": [0, 1, 2, 3]}, share=1)
    assert set(TARGETS[parts[0]]) == {0, 1, 2, 3}
    others = [len(part) for part in parts[1:]]
    assert max(others) - min(others) <= 1 < len(parts[0]) - max(others)


@pytest.mark.parametrize(("key", "place"), [("smallest", 0), ("largest", 2), ("1", 1), (1, 1)])
def test_classes_are_named_by_word_or_by_place(key, place):
    assert share_at(split(home={key: [7]}), [7], place) >= 0.9


def test_several_labels_have_several_homes():
    parts = split(home={"smallest": [0], "largest": [9]}, share=0.8)
    assert share_at(parts, [0], 0) >= 0.8
    assert share_at(parts, [9], 2) >= 0.8


@given(
    examples=st.integers(30, 400),
    fleet=st.lists(st.integers(0, 2), min_size=3, max_size=12).map(lambda drawn: np.array([0, 1, 2, *drawn])),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 5),
)
def test_every_example_belongs_to_one_client_and_nobody_is_without(examples, fleet, share, seed):
    targets = np.arange(examples) % 10
    parts = split(targets, fleet, seed, share=share)
    assert sorted(np.concatenate(parts)) == list(range(examples))
    assert min(map(len, parts)) >= 1
    assert all((np.diff(part) > 0).all() for part in parts)


def test_a_split_depends_on_the_seed_alone():
    assert all(np.array_equal(*pair) for pair in zip(split(), split(), strict=True))
    assert not all(np.array_equal(*pair) for pair in zip(split(), split(seed=1), strict=True))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"home": {"smallest": [0], "largest": [0]}}, "label 0 has two homes"),
        ({"home": {"middle": [0]}}, "found 'middle'"),
        ({"home": {"smallest": []}}, "at least 1"),
        ({"home": {}}, "at least 1"),
        ({"share": 0}, "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_refused(keys, says):
    with pytest.raises(ValidationError, match=says):
        split(**keys)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"home": {"smallest": [10]}}, "no training example has label 10"),
        ({"home": {"3": [0]}}, "no device class 3: the fleet has 3"),
        ({"targets": np.linspace(0, 1, 100)}, "are no classes"),
        ({"targets": np.arange(5)}, "too few for 12 clients"),
    ],
)
def test_what_the_data_or_the_fleet_lacks_is_said(keys, says):
    with pytest.raises(DataError, match=says):
        split(**keys)


def test_it_needs_to_know_the_devices():
    with pytest.raises(DataError, match="needs a fleet"):
        ByDeviceClass(home={"smallest": [0]}).split(TARGETS, 3, Streams(0))


@given(sizes=st.lists(st.integers(0, 20), min_size=1, max_size=8).map(np.array), more=st.integers(0, 60))
def test_the_rest_goes_to_whoever_has_least(sizes, more):
    one_by_one = sizes.copy()
    for _ in range(more):
        one_by_one[np.argmin(one_by_one)] += 1
    assert sorted(sizes + _filled(sizes, more)) == sorted(one_by_one)
