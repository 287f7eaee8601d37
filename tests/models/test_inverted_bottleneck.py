import pytest
import torch
from torch import nn

from fedtiny.models.initialization import initialize
from fedtiny.models.inverted_bottleneck import InvertedBottleneck, convolution_unit
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.mobile_architecture import block


def built(*, out_channels: int = 16, stride: int = 1, expansion: int = 3, lite: bool = False) -> InvertedBottleneck:
    shape = block(16, out_channels, expansion=expansion, kernel=5, stride=stride)
    module = InvertedBottleneck(shape, LiteResidual(16, out_channels, kernel=3, stride=stride) if lite else None)
    initialize(module, torch.Generator().manual_seed(5))
    return module.double()


def images() -> torch.Tensor:
    return torch.randn(2, 16, 9, 7, generator=torch.Generator().manual_seed(6), dtype=torch.float64)


def test_a_block_with_a_shortcut_adds_its_input():
    module = built()
    assert module.shortcut
    assert torch.equal(module(images()), images() + module.main(images()))


@pytest.mark.parametrize("options", [{"out_channels": 24}, {"stride": 2}])
def test_a_block_that_changes_the_shape_has_no_shortcut(options):
    module = built(**options)
    assert not module.shortcut
    assert torch.equal(module(images()), module.main(images()))


def test_a_block_without_expansion_has_two_convolutions():
    assert [name for name, _ in built(expansion=1).main.named_children()] == ["depthwise", "project"]
    assert [name for name, _ in built(expansion=3).main.named_children()] == ["expand", "depthwise", "project"]


def test_the_projection_ends_without_activation_and_the_others_with_relu6():
    main = built().main
    assert isinstance(main.expand.activation, nn.ReLU6)
    assert isinstance(main.depthwise.activation, nn.ReLU6)
    assert not hasattr(main.project, "activation")
    assert [name for name, _ in convolution_unit(8, 8, 1, activated=False).named_children()] == ["convolution", "norm"]


@pytest.mark.parametrize("options", [{}, {"out_channels": 24}, {"stride": 2}])
def test_c1_a_new_lite_residual_module_changes_no_bit(options):
    assert torch.equal(built(lite=True, **options)(images()), built(lite=False, **options)(images()))


def test_a_lite_residual_module_that_has_learned_is_added():
    module = built(lite=True)
    nn.init.ones_(module.lite_residual.final_norm.weight)
    expected = images() + (module.main(images()) + module.lite_residual(images(), (9, 7)))
    assert torch.equal(module(images()), expected)
    assert not torch.allclose(module(images()), built()(images()))
