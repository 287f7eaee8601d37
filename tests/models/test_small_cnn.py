import torch
from torch import nn
from torch.nn import functional

from fedtiny.models.small_cnn import SmallCnn


def built(shape: tuple[int, int, int] = (1, 28, 28)) -> nn.Module:
    return SmallCnn().build(shape, 10, lite_residual=False, generator=torch.Generator().manual_seed(1)).double()


def test_it_is_two_strided_convolutions_with_group_norm_and_relu_and_a_linear_layer():
    network = built()
    w1, g1, b1, w2, g2, b2, weight, bias = network.parameters()
    torch.nn.init.constant_(g1, 20.0)
    torch.nn.init.constant_(g2, 20.0)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    features = functional.relu(functional.group_norm(functional.conv2d(images, w1, stride=2, padding=1), 1, g1, b1))
    features = functional.relu(functional.group_norm(functional.conv2d(features, w2, stride=2, padding=1), 2, g2, b2))
    assert features.shape == (3, 16, 7, 7)
    assert torch.equal(network(images), functional.linear(features.flatten(1), weight, bias))


def test_its_parameters_are_those_of_its_layers():
    assert [tuple(parameter.shape) for parameter in built().parameters()] == [
        *[(8, 1, 3, 3), (8,), (8,)],
        *[(16, 8, 3, 3), (16,), (16,)],
        *[(10, 784), (10,)],
    ]


def test_odd_sizes_are_rounded_up_at_each_stride():
    assert built((3, 9, 5)).head.in_features == 16 * 3 * 2
