import pytest
import torch
from torch import nn

from fedtiny.models.folding import batch_normalized_twin, estimate_statistics, fold, is_folded
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.small_cnn import SmallCnn


def images(count: int, *, seed: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def folded_network(kind: type = McuNet5Fps) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    return kind(normalization="folded").build((3, 32, 32), 5, lite_residual=False, generator=generator).double()


def disturbed_twin(network: nn.Module) -> nn.Module:
    """A twin with gamma, beta and head of no particular value, and statistics of some images."""
    twin = batch_normalized_twin(network)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for module in twin.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.3, generator=generator)
    estimate_statistics(twin, [images(6), images(6, seed=5)])
    return twin


@pytest.mark.parametrize("kind", [McuNet5Fps, MobileNetV2W035, ProxylessNasW03])
def test_a_folded_network_computes_what_its_twin_computes_in_evaluation_mode(kind):
    network = folded_network(kind)
    twin = disturbed_twin(network)
    fold(twin, network)
    torch.testing.assert_close(network(images(4)), twin(images(4)), atol=1e-12, rtol=0)


def test_in_single_precision_they_differ_by_rounding_alone():
    network = folded_network()
    twin = disturbed_twin(network)
    fold(twin, network)
    with torch.no_grad():
        own, expected = network.float()(images(4).float()), twin.float()(images(4).float())
    assert float((own - expected).abs().max() / expected.abs().max()) < 5e-5


def test_a_twin_normalises_every_convolution_and_shares_nothing_with_the_network():
    network = folded_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    twin = disturbed_twin(network)
    norms = [module for module in twin.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 42
    assert not is_folded(SmallCnn().build((1, 8, 8), 3, lite_residual=False, generator=torch.Generator()))
    assert is_folded(network)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())
    assert torch.equal(twin.get_submodule("stem.convolution.convolution").weight, before["stem.convolution.weight"])


def test_statistics_are_the_averages_over_the_batches():
    network = folded_network()
    twin = disturbed_twin(network)
    stem = twin.get_submodule("stem.convolution")
    with torch.no_grad():
        outputs = stem.convolution(torch.cat([images(6), images(6, seed=5)]))
    torch.testing.assert_close(stem.norm.running_mean, outputs.mean((0, 2, 3)), atol=1e-12, rtol=1e-9)
    assert stem.norm.momentum == 0.1
    assert not twin.training
