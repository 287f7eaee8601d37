"""C10: frozen weights have at most 256 distinct values, and those that have no more are left as they are."""

import numpy as np
import pytest
import torch

from fedtiny.design.weight_codebook import codebook_values, compress_frozen_weights
from fedtiny.models.mcunet import McuNet5Fps
from fedtiny.models.measure import summarize
from fedtiny.models.seeded import build_seeded
from fedtiny.randomness import Streams
from fedtiny.updates.tinytl import TinyTL


def generator(seed=0):
    return np.random.default_rng(seed)


def plain_nearest(values, centroids):
    return centroids[np.abs(values[:, None] - centroids[None, :]).argmin(axis=1)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tensor_has_at_most_256_distinct_values_and_keeps_its_shape_and_type(dtype):
    tensor = generator().normal(size=(40, 10, 3, 3)).astype(dtype)
    compressed = codebook_values(tensor, 256, generator(1))
    assert len(np.unique(compressed)) <= 256 < len(np.unique(tensor))
    assert (compressed.shape, compressed.dtype) == (tensor.shape, tensor.dtype)


def test_a_tensor_with_no_more_distinct_values_is_unchanged():
    tensor = generator().choice(generator(5).normal(size=256), size=(300, 7)).astype(np.float32)
    compressed = codebook_values(tensor, 256, generator(1))
    np.testing.assert_array_equal(compressed, tensor)
    assert compressed is not tensor


def test_every_element_is_replaced_by_the_nearest_value_of_the_codebook():
    values = generator().normal(size=2000)
    compressed = codebook_values(values, 16, generator(1))
    np.testing.assert_allclose(compressed, plain_nearest(values, np.unique(compressed)), atol=1e-12)


def test_values_of_the_codebook_are_the_means_of_their_elements_once_k_means_has_settled():
    values = generator().normal(size=300)
    compressed = codebook_values(values, 4, generator(1))
    for centroid in np.unique(compressed):
        assert values[compressed == centroid].mean() == pytest.approx(centroid, abs=0.02)


def test_well_separated_clusters_are_found():
    centres = np.arange(8) * 10.0
    values = (centres[:, None] + generator().uniform(-0.1, 0.1, size=(8, 50))).ravel()
    compressed = codebook_values(values, 8, generator(3))
    np.testing.assert_allclose(np.sort(np.unique(compressed)), centres, atol=0.05)


def test_the_error_is_near_that_of_scikit_learns_k_means():
    cluster = pytest.importorskip("sklearn.cluster")
    values = generator().normal(size=3000)
    theirs = cluster.KMeans(32, init="k-means++", n_init=1, max_iter=20, random_state=0).fit(values[:, None]).inertia_
    ours = ((codebook_values(values, 32, generator(0)) - values) ** 2).sum()
    assert ours <= 1.1 * theirs


def test_the_error_falls_with_the_size_of_the_codebook():
    values = generator().normal(size=3000)
    errors = [((codebook_values(values, size, generator(0)) - values) ** 2).sum() for size in (2, 8, 32, 128)]
    assert errors == sorted(errors, reverse=True)


def test_only_frozen_weights_of_convolutions_and_linear_layers_are_compressed():
    network = build_seeded(McuNet5Fps(), (3, 32, 32), 10, lite_residual=True, seed=0)
    summary = summarize(network, "mcunet_5fps", (3, 32, 32), 10)
    plan = TinyTL().plan(summary)
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    compressed = set(compress_frozen_weights(network, summary, frozenset(plan.trainable), Streams(0)))
    after = dict(network.named_parameters())
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed <= compressed
    assert {name for name in before if name.startswith("blocks.3.main") and name.endswith("convolution.weight")} <= compressed
    assert not compressed & set(plan.trainable)
    assert not any("norm" in name for name in compressed)
    assert all(len(after[name].unique()) <= 256 for name in compressed)
    large = [name for name in compressed if before[name].numel() > 2000]
    assert large
    assert changed >= set(large)


def test_the_same_seed_gives_the_same_codebook():
    tensor = generator().normal(size=1000)
    first, second = (codebook_values(tensor, 16, Streams(0).numpy("codebook", "w")) for _ in range(2))
    np.testing.assert_array_equal(first, second)
