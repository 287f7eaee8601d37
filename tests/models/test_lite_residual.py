import pytest
import torch
from torch.nn import functional

from fedtiny.models.initialization import initialize
from fedtiny.models.lite_residual import LiteResidual, lite_kernel


def module(*, in_channels: int = 16, out_channels: int = 24, kernel: int = 5, stride: int = 1) -> LiteResidual:
    lite = LiteResidual(in_channels, out_channels, kernel=kernel, stride=stride)
    initialize(lite, torch.Generator().manual_seed(3))
    return lite.double()


def trained(**options: int) -> LiteResidual:
    lite = module(**options)
    torch.nn.init.ones_(lite.final_norm.weight)
    return lite


def images(height: int, width: int, channels: int = 16) -> torch.Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.mark.parametrize(("nominal", "kernel"), [(128, 5), (16, 5), (10, 5), (8, 3), (6, 3), (4, 1), (2, 1), (1, 1)])
def test_the_kernel_is_at_most_half_the_nominal_resolution(nominal, kernel):
    assert lite_kernel(nominal) == kernel


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(16, 16), (7, 7), (9, 4), (2, 2), (1, 1), (1, 6)])
def test_a_new_module_adds_exactly_nothing_at_any_size(size, stride):
    output = module(stride=stride)(images(*size), size)
    assert torch.all(output == 0)


@pytest.mark.parametrize("size", [(16, 16), (7, 7), (9, 4), (2, 2)])
def test_the_output_has_the_size_that_is_asked_for(size):
    assert trained(stride=2)(images(*size), (5, 3)).shape == (2, 24, 5, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (4, 1)])
def test_below_the_pooling_window_the_whole_map_is_averaged(size):
    lite = trained()
    inputs = images(*size)
    output = lite(inputs, size)
    assert output.shape == (2, 24, 1, 1)
    torch.testing.assert_close(output, lite(inputs.mean((2, 3), keepdim=True), size), atol=1e-13, rtol=0)


def test_features_are_computed_at_a_quarter_of_the_resolution():
    lite = trained()
    inputs = images(8, 6)
    features = lite.final_norm(
        lite.pointwise_convolution(functional.relu(lite.norm(lite.group_convolution(functional.avg_pool2d(inputs, 2)))))
    )
    assert features.shape == (2, 24, 4, 3)
    assert torch.equal(lite(inputs, (8, 6)), functional.interpolate(features, (8, 6), mode="bilinear"))


def test_the_first_convolution_has_two_groups_and_does_not_expand():
    lite = module()
    assert lite.group_convolution.weight.shape == (16, 8, 5, 5)
    assert lite.pointwise_convolution.weight.shape == (24, 16, 1, 1)


def test_c2_only_the_last_norm_has_a_gradient_in_the_first_step():
    lite = module()
    (lite(images(8, 8), (8, 8)) * torch.arange(8.0)).sum().backward()
    gradients = {name: parameter.grad for name, parameter in lite.named_parameters()}
    moved = {name for name, gradient in gradients.items() if torch.any(gradient != 0)}
    assert moved == {"final_norm.weight", "final_norm.bias"}
