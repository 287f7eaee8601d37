import pytest
import torch
from pydantic import ValidationError
from torch import nn

from fedtiny.models.mobilenet_v2 import MobileNetV2, mobilenet_v2


def parameters(width: float) -> int:
    network: nn.Module = MobileNetV2(width=width).build(
        (3, 224, 224), 1000, lite_residual=False, generator=torch.Generator().manual_seed(1)
    )
    return sum(parameter.numel() for parameter in network.parameters())


def test_width_one_has_the_published_number_of_parameters():
    assert parameters(1.0) == 3_504_872


@pytest.mark.parametrize(("width", "channels"), [(0.35, (16, 8, 112, 1280)), (1.0, (32, 16, 320, 1280)), (1.4, (48, 24, 448, 1792))])
def test_the_width_multiplies_every_layer_but_the_last_only_from_one_up(width, channels):
    architecture = mobilenet_v2(width)
    first, last = architecture.blocks[0], architecture.blocks[-1]
    assert (architecture.stem.out_channels, first.out_channels, last.out_channels, architecture.feature_mix) == channels


def test_it_has_seventeen_blocks_that_divide_the_size_by_sixteen():
    blocks = mobilenet_v2(1.0).blocks
    assert len(blocks) == 17
    assert [number for number, shape in enumerate(blocks) if shape.stride == 2] == [1, 3, 6, 13]
    assert sum(shape.residual for shape in blocks) == 10


@pytest.mark.parametrize("width", [0.0, -1.0, float("inf"), float("nan"), "1.0"])
def test_a_width_that_is_no_width_is_refused(width):
    with pytest.raises(ValidationError, match="width"):
        MobileNetV2(width=width)
