import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedtiny.datasets.images import change_images, shape_after
from fedtiny.errors import DataError


def random_images(*shape: int, dtype: type = np.float64) -> np.ndarray:
    return np.random.default_rng(0).random(shape).astype(dtype)


@pytest.mark.parametrize("native", [1, 5, 8, 28])
@pytest.mark.parametrize("size", [1, 7, 8, 13, 64])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_resizing_is_torchs_antialiased_bilinear_interpolation(native, size, dtype, tolerance):
    images = random_images(3, 2, native, native + 1, dtype=dtype)
    expected = torch.nn.functional.interpolate(torch.from_numpy(images), size=(size, size), mode="bilinear", antialias=True)
    found = change_images(images, size, None)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)


@given(native=st.integers(1, 30), size=st.integers(1, 40), level=st.floats(-5, 5))
def test_an_even_image_stays_even(native, size, level):
    np.testing.assert_allclose(change_images(np.full((1, 1, native, native), level), size, None), level, atol=1e-12)


def test_more_examples_than_one_chunk_give_what_each_gives_alone():
    images = random_images(300, 1, 5, 5)
    alone = np.concatenate([change_images(image[None], 9, 3) for image in images])
    assert np.array_equal(change_images(images, 9, 3), alone)


def test_a_single_channel_is_repeated():
    images = random_images(4, 1, 6, 6)
    found = change_images(images, None, 3)
    assert found.shape == (4, 3, 6, 6)
    assert all(np.array_equal(found[:, channel], images[:, 0]) for channel in range(3))


def test_several_channels_are_averaged_to_one():
    images = random_images(4, 3, 6, 6)
    np.testing.assert_allclose(change_images(images, None, 1)[:, 0], images.mean(axis=1), atol=1e-15)


@pytest.mark.parametrize("asked", [(None, None), (6, None), (None, 2), (6, 2)])
def test_images_that_already_fit_are_returned_untouched(asked):
    images = random_images(4, 2, 6, 6)
    assert change_images(images, *asked) is images


def test_three_channels_do_not_become_two():
    with pytest.raises(DataError, match=r"3 channels cannot be given 2: allowed are 3 .* and 1"):
        shape_after((3, 8, 8), None, 2)


def test_inputs_that_are_no_images_cannot_be_resized():
    assert shape_after((7,), None, None) == (7,)
    with pytest.raises(DataError, match=r"need images .* shape \(7,\): leave both out"):
        shape_after((7,), 16, None)
