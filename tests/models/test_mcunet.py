import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.mobile_model import MobileModel
from fedtiny.models.mobile_network import MobileNetwork

# convolutions as numbered by the sparse-update schemes (arXiv 2206.15472), forward multiply-accumulates at 3x128x128 with 10 classes
PUBLISHED = [(McuNet5Fps, 42, 22_455_104), (MobileNetV2W035, 51, 16_648_032), (ProxylessNasW03, 60, 18_620_864)]


def built(kind: type[MobileModel], *, lite_residual: bool = False) -> MobileNetwork:
    return kind().build((3, 128, 128), 10, lite_residual=lite_residual, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("kind", "convolutions", "macs"), PUBLISHED)
def test_convolutions_and_multiply_accumulates_are_the_published_ones(kind, convolutions, macs):
    summary = summarize(built(kind), "network", (3, 128, 128), 10)
    assert sum(layer.operator == "convolution" for layer in summary.layers) == convolutions
    assert summary.forward_macs == macs


@pytest.mark.parametrize("kind", [kind for kind, _, _ in PUBLISHED])
def test_multiply_accumulates_are_those_that_torch_counts(kind):
    network = built(kind, lite_residual=True)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 128, 128))
    assert 2 * summarize(network, "network", (3, 128, 128), 10).forward_macs == counter.get_total_flops()


@pytest.mark.parametrize("kind", [kind for kind, _, _ in PUBLISHED])
def test_the_head_is_linear_on_the_average_of_the_last_block(kind):
    network = built(kind)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    features = network.blocks(network.stem(images))
    assert network.feature_mix is None
    torch.testing.assert_close(network(images), features.mean((2, 3)) @ network.head.weight.T + network.head.bias)
