"""Frozen weights in eight bits: a codebook of 256 values for every layer, found by k-means.

TinyTL keeps the weights that do not train as indices into a codebook (arXiv 2007.11622, section 4.1; the method is that of Han,
Mao and Dally: Deep Compression, ICLR 2016, arXiv 1510.00149, section 3), and counts them with eight bits each. For a tensor with
more distinct values than the codebook has, k-means on its elements:

    codebook <- k-means++ draws (Arthur and Vassilvitskii, SODA 2007), then at most 20 times
    assign every element to the nearest centroid,  centroid <- mean of its elements

Only weights of convolutions and linear layers; norms and biases stay as they are, and so does the head, which always trains. A
weight that trains in part is kept in floating point. Elements are one-dimensional, so with sorted centroids the nearest one is
found by bisection between their midpoints.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fedtiny.models.summary import ModelSummary
from fedtiny.randomness import Streams

BITS: Final = 8
_ITERATIONS: Final = 20
_COMPRESSED: Final = ("convolution", "linear")

Values = NDArray[np.float64]


@torch.no_grad()
def compress_frozen_weights(network: nn.Module, summary: ModelSummary, trained: frozenset[str], streams: Streams) -> tuple[str, ...]:
    """Replaces the weights of convolutions and linear layers that are not in `trained` by their codebook values, in place.

    Returns their names. The draws of a tensor come from the stream ("codebook", name).
    """
    parameters = dict(network.named_parameters())
    layers = [layer for layer in summary.layers if layer.operator in _COMPRESSED]
    weights = [one.name for layer in layers for one in layer.parameters if one.role == "weight"]
    frozen = tuple(name for name in dict.fromkeys(weights) if name not in trained)
    for name in frozen:
        values = parameters[name].numpy(force=True)
        compressed = codebook_values(values, 2**BITS, streams.numpy("codebook", name))
        parameters[name].copy_(torch.from_numpy(compressed))
    return frozen


def codebook_values(tensor: NDArray[np.floating], size: int, generator: np.random.Generator) -> NDArray[np.floating]:
    """The tensor with every element replaced by its nearest of `size` centroids; unchanged if it has no more distinct values."""
    distinct, counts = np.unique(tensor, return_counts=True)
    if len(distinct) <= size:
        return tensor.copy()
    points = distinct.astype(np.float64)
    centroids = _seeded(points, counts, size, generator)
    for _ in range(_ITERATIONS):
        moved = _means(points, counts, centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    replaced = centroids.astype(tensor.dtype)[_nearest(points, centroids)]
    values: NDArray[np.floating] = replaced[np.searchsorted(distinct, tensor.reshape(-1))].reshape(tensor.shape)
    return values


def _seeded(points: Values, counts: NDArray[np.int64], size: int, generator: np.random.Generator) -> Values:
    """k-means++: every next centroid is a point drawn in proportion to its squared distance from the nearest so far; sorted."""
    first = generator.choice(len(points), p=counts / counts.sum())
    chosen = [points[first]]
    distances = (points - chosen[0]) ** 2
    for _ in range(size - 1):
        cumulative = np.cumsum(counts * distances)
        drawn = np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right")
        chosen.append(points[min(drawn, len(points) - 1)])
        distances = np.minimum(distances, (points - chosen[-1]) ** 2)
    return np.unique(chosen)


def _nearest(points: Values, centroids: Values) -> NDArray[np.intp]:
    """The index of the nearest centroid of every point; both are sorted."""
    return np.searchsorted((centroids[:-1] + centroids[1:]) / 2, points, side="left")


def _means(points: Values, counts: NDArray[np.int64], centroids: Values) -> Values:
    nearest = _nearest(points, centroids)
    weights = np.bincount(nearest, weights=counts, minlength=len(centroids))
    sums = np.bincount(nearest, weights=counts * points, minlength=len(centroids))
    return np.sort(np.where(weights > 0, sums / np.maximum(weights, 1), centroids))
