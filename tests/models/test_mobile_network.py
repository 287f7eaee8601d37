import pytest
import torch
from torch import nn

from fedtiny.models.group_norm import GroupNormalization
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.mobile_architecture import MobileArchitecture
from fedtiny.models.mobile_network import MobileNetwork, build_mobile_network
from fedtiny.models.mobilenet_v2 import mobilenet_v2
from fedtiny.models.proxylessnas import proxylessnas_mobile
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution

ARCHITECTURES = [proxylessnas_mobile(), mobilenet_v2(0.35)]


def built(
    architecture: MobileArchitecture = ARCHITECTURES[1], *, lite_residual: bool = True, shape: tuple[int, int, int] = (3, 16, 16)
) -> MobileNetwork:
    generator = torch.Generator().manual_seed(1)
    return build_mobile_network(architecture, shape, 5, lite_residual=lite_residual, generator=generator).double()


def images(*shape: int) -> torch.Tensor:
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_every_block_that_expands_carries_a_lite_residual_module_and_the_first_does_not(architecture):
    carries = [block.lite_residual is not None for block in built(architecture).blocks]
    assert carries == [shape.has_expand for shape in architecture.blocks]
    assert carries == [False] + [True] * (len(carries) - 1)
    assert not any(isinstance(module, LiteResidual) for module in built(architecture, lite_residual=False).modules())


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_c1_new_lite_residual_modules_change_no_bit_of_the_logits(architecture):
    with_lite, without = built(architecture), built(architecture, lite_residual=False)
    assert torch.equal(with_lite(images(3, 16, 16)), without(images(3, 16, 16)))


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda architecture: architecture.name)
def test_c2_in_the_first_step_only_the_last_norm_of_each_lite_residual_module_has_a_gradient(architecture):
    network = built(architecture)
    nn.functional.cross_entropy(network(images(3, 16, 16)), torch.tensor([1, 4])).backward()
    lite = {name: parameter.grad for name, parameter in network.named_parameters() if ".lite_residual." in name}
    moved = {name for name, gradient in lite.items() if torch.any(gradient != 0)}
    assert moved == {name for name in lite if ".final_norm." in name}


@pytest.mark.parametrize("lite_residual", [True, False])
def test_c8_the_logits_of_a_sample_do_not_depend_on_its_batch(lite_residual):
    network = built(lite_residual=lite_residual)
    for module in network.modules():
        if isinstance(module, LiteResidual):
            nn.init.constant_(module.final_norm.weight, 0.5)
    batch = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(network(batch)[3:4], network(batch[3:4]), atol=1e-12, rtol=0)


def test_c9_shifting_every_stored_convolution_weight_leaves_the_logits():
    network = built()
    before = network(images(3, 16, 16))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, WeightStandardizedConvolution):
                module.weight += 0.25
    torch.testing.assert_close(network(images(3, 16, 16)), before, atol=1e-9, rtol=0)


def test_every_convolution_is_standardised_and_nothing_is_batch_normalised():
    kinds = {type(module) for module in built().modules() if not [*module.children()]}
    assert kinds == {WeightStandardizedConvolution, GroupNormalization, nn.ReLU6, nn.ReLU, nn.Linear}


def test_relu6_is_in_the_main_branch_and_relu_in_the_lite_one():
    for name, module in built().named_modules():
        if isinstance(module, (nn.ReLU, nn.ReLU6)):
            assert isinstance(module, nn.ReLU6) == ("lite_residual" not in name), name


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 17), (1, 224, 8)])
def test_channels_are_the_inputs_and_the_size_is_free(shape):
    network = built(shape=shape)
    assert network.stem.convolution.weight.shape[1] == shape[0]
    assert network(images(*shape)).shape == (2, 5)


def test_the_network_computes_in_the_type_it_is_converted_to():
    network = built()
    assert network(images(3, 8, 8)).dtype == torch.float64
    assert network.to(torch.float32)(images(3, 8, 8).float()).dtype == torch.float32
