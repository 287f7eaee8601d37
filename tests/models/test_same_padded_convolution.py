import numpy as np
import pytest
import torch

from fedtiny.models.same_padded_convolution import SamePaddedConvolution


def convolution(kernel: int, stride: int, *, groups: int = 1) -> SamePaddedConvolution:
    layer = SamePaddedConvolution(4, 4, kernel, stride=stride, groups=groups).double()
    torch.nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(1))
    return layer


def plain(inputs: np.ndarray, weight: np.ndarray, stride: int) -> np.ndarray:
    """The module's formula, pixel by pixel: pixels outside the image are zero."""
    kernel = weight.shape[2]
    sizes = [-(-size // stride) for size in inputs.shape[1:]]
    before = [max((out - 1) * stride + kernel - size, 0) // 2 for out, size in zip(sizes, inputs.shape[1:], strict=True)]
    output = np.zeros((weight.shape[0], *sizes))
    for y, x, dy, dx in np.ndindex(*sizes, kernel, kernel):
        row, column = y * stride + dy - before[0], x * stride + dx - before[1]
        if 0 <= row < inputs.shape[1] and 0 <= column < inputs.shape[2]:
            output[:, y, x] += weight[:, :, dy, dx] @ inputs[:, row, column]
    return output


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (8, 5), (1, 1), (2, 3)], ids=str)
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (5, 1), (3, 2), (5, 2), (1, 2)])
def test_it_pads_as_tensorflow_does(size, kernel, stride):
    layer = convolution(kernel, stride)
    inputs = torch.randn(1, 4, *size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = plain(inputs[0].numpy(), layer.weight.detach().numpy(), stride)
    np.testing.assert_allclose(layer(inputs)[0].detach().numpy(), expected, atol=1e-12)


def test_at_stride_2_and_an_even_size_no_window_starts_outside_the_image():
    layer = convolution(3, 2, groups=4)
    torch.nn.init.zeros_(layer.weight)
    layer.weight.data[:, :, 0, 0] = 1
    inputs = torch.arange(16, dtype=torch.float64).reshape(1, 1, 4, 4).repeat(1, 4, 1, 1)
    assert layer(inputs)[0, 0].tolist() == [[0, 2], [8, 10]]


def test_making_one_draws_nothing_from_the_global_generator():
    before = torch.random.get_rng_state()
    SamePaddedConvolution(4, 4, 3)
    assert torch.equal(torch.random.get_rng_state(), before)
