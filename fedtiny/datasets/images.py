"""Images of another size and with other channels.

Bilinear interpolation with the triangle filter: the output pixel i of an axis of n pixels made m long has its centre
at c_i = (i + 1/2) n / m, and takes from input pixel j (centre j + 1/2) the share

    w_ij = max(0, 1 - |j + 1/2 - c_i| / max(1, n / m)),    normalised so that sum_j w_ij = 1.

Enlarging is plain bilinear interpolation; shrinking widens the triangle, so nothing is skipped (no aliasing). It is
what Pillow and `torch.nn.functional.interpolate(..., mode="bilinear", antialias=True)` compute; here it is NumPy
without any matrix library, element by element, so that a data set has the same bits on every machine.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fedtiny.errors import DataError

Floats = NDArray[np.floating[Any]]
"""Numbers in float32 or float64; results have the type of what was given."""

_EXAMPLES_AT_ONCE: Final = 128


def shape_after(native: Sequence[int], image_size: int | None, channels: int | None) -> tuple[int, ...]:
    """The shape of one example, `(channels, height, width)`, after the changes that are asked for.

    Raises DataError where the inputs are not images, or the channels can neither be repeated nor averaged.
    """
    if image_size is None and channels is None:
        return tuple(native)
    if len(native) != 3:
        raise DataError(
            f"image_size and channels need images (channels, height, width), found inputs of shape {tuple(native)}: leave both out"
        )
    if channels is not None and channels != native[0] and 1 not in (channels, native[0]):
        raise DataError(
            f"images with {native[0]} channels cannot be given {channels}: allowed are {native[0]} (as they are) and 1 (their mean)"
        )
    side = (native[1], native[2]) if image_size is None else (image_size, image_size)
    return (native[0] if channels is None else channels, *side)


def change_images(images: Floats, image_size: int | None, channels: int | None) -> Floats:
    """The images `(examples, channels, height, width)` with that size and these channels; None leaves as it is."""
    shape = shape_after(images.shape[1:], image_size, channels)
    if shape == images.shape[1:]:
        return images
    changed = np.empty((len(images), *shape), images.dtype)
    for start in range(0, len(images), _EXAMPLES_AT_ONCE):
        chunk = images[start : start + _EXAMPLES_AT_ONCE]
        if shape[0] < chunk.shape[1]:
            chunk = np.mean(chunk, axis=1, keepdims=True)
        # Broadcasting repeats a single channel: after the resize, so that one channel is resized and not three.
        changed[start : start + len(chunk)] = _along(_along(chunk, 3, shape[2]), 2, shape[1])
    return changed


def _along(images: Floats, axis: int, size: int) -> Floats:
    """The images with `size` pixels along one axis: a weighted sum over as many neighbours as a pixel has."""
    native = images.shape[axis]
    if size == native:
        return images
    weights = _triangle_weights(native, size)
    first = np.argmax(weights > 0, axis=1)
    broadcast = [-1 if dimension == axis else 1 for dimension in range(images.ndim)]
    result = np.zeros([size if dimension == axis else length for dimension, length in enumerate(images.shape)], images.dtype)
    for neighbour in range(int(np.count_nonzero(weights, axis=1).max())):
        pixel = np.minimum(first + neighbour, native - 1)
        share = np.where(first + neighbour < native, weights[np.arange(size), pixel], 0.0)
        result += np.take(images, pixel, axis=axis) * share.astype(images.dtype).reshape(broadcast)
    return result


def _triangle_weights(native: int, size: int) -> NDArray[np.float64]:
    """w_ij of the module's formula, `(size, native)`."""
    scale = native / size
    centres = (np.arange(size)[:, None] + 0.5) * scale
    triangles = np.maximum(0.0, 1.0 - np.abs(np.arange(native)[None, :] + 0.5 - centres) / max(1.0, scale))
    weights: NDArray[np.float64] = triangles / triangles.sum(axis=1, keepdims=True)
    return weights
