import pytest
import torch
from torch import nn

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.initialization import initialize


def test_it_is_a_convolution_with_bias_that_keeps_the_size():
    convolution = FoldedConvolution(4, 6, 5, groups=2)
    initialize(convolution, torch.Generator().manual_seed(1))
    inputs = torch.rand(2, 4, 9, 7)
    expected = nn.functional.conv2d(inputs, convolution.weight, convolution.bias, padding=2, groups=2)
    assert torch.equal(convolution(inputs), expected)
    assert expected.shape == (2, 6, 9, 7)


def test_making_one_moves_no_random_numbers():
    before = torch.random.get_rng_state()
    FoldedConvolution(8, 8, 3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_its_random_weights_have_the_deviation_of_their_fan_in_and_its_bias_is_zero():
    for convolution, fan_in in ((FoldedConvolution(64, 96, 3), 576), (FoldedConvolution(512, 512, 5, groups=512), 25)):
        initialize(convolution, torch.Generator().manual_seed(1))
        assert float(convolution.weight.detach().std()) == pytest.approx((2 / fan_in) ** 0.5, rel=0.03)
        assert torch.equal(convolution.bias, torch.zeros_like(convolution.bias))
