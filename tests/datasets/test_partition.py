from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fedtiny.datasets.partition import AnyPartition, Dirichlet, Iid, Natural, Partition, Shards, Sizes
from fedtiny.datasets.partition_family import KnownOfClients
from fedtiny.errors import DataError
from fedtiny.randomness import Streams

TARGETS = np.random.default_rng(0).integers(0, 10, 2000)

seeds = st.integers(0, 2**32)
labels = st.lists(st.integers(0, 5), min_size=30, max_size=200).map(lambda values: np.array(values, dtype=np.int64))
complete_partitions = st.one_of(
    st.just(Iid()),
    st.builds(Dirichlet, alpha=st.floats(0.5, 1e4)),
    st.builds(Shards, classes_per_client=st.integers(1, 6)),
    st.builds(Sizes, sigma=st.floats(0.1, 3)),
)


def split_or_assume(partition: Partition, targets: np.ndarray, clients: int, seed: int) -> list[np.ndarray]:
    try:
        return partition.split(targets, clients, Streams(seed))
    except DataError:
        assume(False)
        raise


@given(partition=complete_partitions, targets=labels, clients=st.integers(1, 12), seed=seeds)
def test_every_example_belongs_to_exactly_one_client(partition, targets, clients, seed):
    parts = split_or_assume(partition, targets, clients, seed)
    assert len(parts) == clients
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(targets)))
    assert all(len(part) and np.all(np.diff(part) > 0) for part in parts)
    assert all(part.dtype == np.int64 for part in parts)


@given(partition=complete_partitions, targets=labels, clients=st.integers(1, 12), seed=seeds)
def test_a_split_is_a_function_of_the_seed(partition, targets, clients, seed):
    once, again = (split_or_assume(partition, targets, clients, seed) for _ in range(2))
    assert all(np.array_equal(first, second) for first, second in zip(once, again, strict=True))


@pytest.mark.parametrize("partition", [Iid(), Dirichlet(alpha=1), Shards(classes_per_client=2), Sizes(sigma=1)])
def test_another_seed_gives_another_split(partition):
    first, second = (partition.split(TARGETS, 10, Streams(seed)) for seed in (0, 1))
    assert any(not np.array_equal(one, other) for one, other in zip(first, second, strict=True))


@given(targets=labels, clients=st.integers(1, 30), seed=seeds)
def test_iid_sizes_differ_by_at_most_one(targets, clients, seed):
    sizes = [len(part) for part in Iid().split(targets, clients, Streams(seed))]
    assert max(sizes) - min(sizes) <= 1


@given(wanted=st.integers(1, 6), targets=labels, clients=st.integers(1, 12), seed=seeds)
def test_shards_give_every_client_exactly_so_many_classes(wanted, targets, clients, seed):
    parts = split_or_assume(Shards(classes_per_client=wanted), targets, clients, seed)
    assert {len(np.unique(targets[part])) for part in parts} == {wanted}


@given(wanted=st.integers(1, 10), clients=st.integers(1, 40), seed=seeds)
def test_shards_share_classes_as_evenly_as_possible(wanted, clients, seed):
    assume(wanted * clients >= 10)
    targets = np.repeat(np.arange(10), 60)
    parts = Shards(classes_per_client=wanted).split(targets, clients, Streams(seed))
    holders = Counter(int(label) for part in parts for label in np.unique(targets[part]))
    assert max(holders.values()) - min(holders.values()) <= 1


def test_shards_of_two_classes_give_a_hundred_clients_of_mnist_six_hundred_examples_each():
    targets = np.repeat(np.arange(10), 6000)
    parts = Shards(classes_per_client=2).split(targets, 100, Streams(0))
    assert {len(part) for part in parts} == {600}
    assert len({tuple(np.unique(targets[part])) for part in parts}) > 20


@pytest.mark.parametrize("partition", [Dirichlet(alpha=100), Shards(classes_per_client=1)])
def test_clients_that_share_a_class_have_random_examples_of_it_and_not_a_stretch(partition):
    targets = np.zeros(1000, dtype=np.int64)
    for part in partition.split(targets, 2, Streams(0)):
        assert part[0] < 20
        assert part[-1] >= 980


def class_shares(parts: list[np.ndarray]) -> np.ndarray:
    """The mixture of classes that every client has, (clients, classes)."""
    counts = np.array([np.bincount(TARGETS[part], minlength=10) for part in parts])
    return counts / counts.sum(axis=1, keepdims=True)


def test_a_dirichlet_partition_tends_to_iid_as_alpha_grows():
    overall = np.bincount(TARGETS, minlength=10) / len(TARGETS)

    def distance(alpha: float) -> float:
        """Mean total variation distance between a client's mixture of classes and that of all examples."""
        shares = class_shares(Dirichlet(alpha=alpha).split(TARGETS, 10, Streams(3)))
        return float(np.abs(shares - overall).sum(axis=1).mean() / 2)

    distances = [distance(alpha) for alpha in (0.1, 1, 10, 1e6)]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0.5
    assert distances[-1] < 0.03


def test_the_shares_of_a_class_have_the_variance_of_the_dirichlet_distribution():
    """Var of a share is (1/n)(1 - 1/n)/(n alpha + 1) for n clients."""
    clients, alpha = 5, 0.8
    targets = np.repeat(np.arange(4), 1000)
    shares = []
    for seed in range(200):
        parts = Dirichlet(alpha=alpha).split(targets, clients, Streams(seed))
        shares.extend(np.array([np.bincount(targets[part], minlength=4) for part in parts]).ravel() / 1000)
    assert np.mean(shares) == pytest.approx(1 / clients)
    assert np.var(shares) == pytest.approx((1 / clients) * (1 - 1 / clients) / (clients * alpha + 1), rel=0.06)


@settings(max_examples=25)
@given(minimum=st.integers(1, 60), seed=seeds)
def test_a_dirichlet_partition_keeps_its_minimum(minimum, seed):
    parts = Dirichlet(alpha=0.5, minimum_examples=minimum).split(TARGETS, 10, Streams(seed))
    assert min(len(part) for part in parts) >= minimum


def test_a_dirichlet_partition_that_cannot_be_drawn_says_what_to_change():
    with pytest.raises(DataError, match=r"alpha 1e-05 of 2000 examples for 20 clients .* raise alpha, lower minimum_examples"):
        Dirichlet(alpha=1e-5).split(TARGETS, 20, Streams(0))


@given(sigma=st.floats(0.01, 20), clients=st.integers(1, 50), seed=seeds)
def test_log_normal_sizes_leave_nobody_without_an_example(sigma, clients, seed):
    parts = Sizes(sigma=sigma).split(TARGETS, clients, Streams(seed))
    assert min(len(part) for part in parts) >= 1


def test_log_normal_sizes_spread_as_sigma_says():
    sizes = [len(part) for part in Sizes(sigma=0.5).split(np.zeros(1_000_000, dtype=np.int64), 2000, Streams(0))]
    assert np.std(np.log(sizes)) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([100, 300, 5], [100, 300, 5]), ([0.5, 0.25, 0.25], [1000, 500, 500]), ([0.1, 0.2, 0.3], [200, 400, 600]), ([2000], [2000])],
)
def test_stated_sizes_are_numbers_or_shares_of_examples(sizes, expected):
    partition = TypeAdapter(AnyPartition).validate_python({"kind": "sizes", "sizes": sizes})
    parts = partition.split(TARGETS, len(sizes), Streams(0))
    assert [len(part) for part in parts] == expected
    assert len(np.unique(np.concatenate(parts))) == sum(expected)


@given(weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=20), seed=seeds)
def test_shares_that_sum_to_one_use_every_example(weights, seed):
    shares = tuple(np.array(weights) / np.sum(weights))
    parts = Sizes(sizes=shares).split(TARGETS, len(shares), Streams(seed))
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(TARGETS)))


@pytest.mark.parametrize(
    "stated",
    [{}, {"sizes": [1], "sigma": 1.0}, {"sizes": [0.9, 0.2]}, {"sizes": [1, 0.5]}, {"sizes": [0, 5]}, {"sigma": 0.0}, {"sizes": ["1"]}],
)
def test_sizes_that_make_no_sense_are_refused(stated):
    with pytest.raises(ValidationError):
        Sizes.model_validate({"kind": "sizes", **stated})


def test_a_natural_partition_follows_the_data():
    owners = np.array([30, 10, 10, 20, 30, 30])
    parts = Natural().split(np.zeros(6), 3, Streams(0), KnownOfClients(owners))
    assert [part.tolist() for part in parts] == [[1, 2], [3], [0, 4, 5]]


@pytest.mark.parametrize(
    ("partition", "clients", "message"),
    [
        (Iid(), 2001, "2000 training examples are too few for 2001 clients"),
        (Dirichlet(alpha=1, minimum_examples=300), 10, "too few for 10 clients with at least 300 each"),
        (Shards(classes_per_client=11), 10, "classes_per_client is 11, but the training examples have 10 classes: lower it"),
        (Shards(classes_per_client=2), 4, "leave 2 of 10 classes to nobody: classes_per_client must be at least 3 .* at least 5"),
        (Shards(classes_per_client=10), 200, "a class of .* examples would be cut among 200 clients"),
        (Sizes(sizes=(5, 5)), 3, "2 entries for 3 clients: give one per client"),
        (Sizes(sizes=(1999, 2)), 2, "sum to 2001, but there are 2000"),
        (Sizes(sizes=(0.5, 0.0001)), 2, "the smallest share, 0.0001, of 2000 examples is less than one example"),
        (Natural(), 3, "needs an npz file with client_train"),
    ],
)
def test_a_split_that_is_impossible_says_what_to_change(partition, clients, message):
    with pytest.raises(DataError, match=message):
        partition.split(TARGETS, clients, Streams(0))


def test_a_natural_partition_needs_a_device_for_every_client():
    with pytest.raises(DataError, match="are those of 2 clients, but the fleet has 3 devices: make the fleet's counts sum to 2"):
        Natural().split(np.zeros(4), 3, Streams(0), KnownOfClients(np.array([0, 1, 1, 0])))


@pytest.mark.parametrize("partition", [Dirichlet(alpha=1), Shards(classes_per_client=1)])
def test_floating_point_targets_have_no_classes_to_split_by(partition):
    with pytest.raises(DataError, match="targets of type float64 are no classes: use partition kind iid, sizes or natural"):
        partition.split(np.linspace(0, 1, 50), 5, Streams(0))


@pytest.mark.parametrize("alpha", [0, -1, float("inf"), float("nan"), "1"])
def test_alpha_is_a_positive_finite_number(alpha):
    with pytest.raises(ValidationError):
        Dirichlet(alpha=alpha)


@pytest.mark.parametrize(
    "partition",
    [Iid(), Dirichlet(alpha=0.3), Shards(classes_per_client=2), Sizes(sizes=(3, 4)), Sizes(sizes=(0.5, 0.5)), Sizes(sigma=1), Natural()],
)
def test_a_partition_written_plainly_is_read_back_the_same(partition):
    assert TypeAdapter(AnyPartition).validate_python(partition.to_plain()) == partition
