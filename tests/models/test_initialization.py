import math

import pytest
import torch
from torch import nn

from fedtiny.models.initialization import empty_convolution, empty_linear, initialize
from fedtiny.models.mcunet import McuNet5Fps
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution


def network(*, seed: int = 1, classes: int = 10, lite_residual: bool = True) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    return McuNet5Fps().build((3, 32, 32), classes, lite_residual=lite_residual, generator=generator)


def values(module: nn.Module) -> dict[str, torch.Tensor]:
    return dict(module.state_dict())


def test_equal_seeds_give_equal_values_and_other_seeds_others():
    first, again, other = values(network()), values(network()), values(network(seed=2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["stem.convolution.weight"], other["stem.convolution.weight"])


def test_the_global_generator_is_neither_used_nor_moved():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = values(network())
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first["head.weight"], values(network())["head.weight"])


@pytest.mark.parametrize("options", [{"lite_residual": False}, {"classes": 3}])
def test_neither_lite_residual_modules_nor_classes_change_the_values_of_the_rest(options):
    full, changed = values(network()), values(network(**options))
    skipped = () if "lite_residual" in options else ("head.",)
    compared = [name for name in changed if not name.startswith(skipped)] if skipped else [*changed]
    assert len(compared) > 80
    assert all(torch.equal(full[name], changed[name]) for name in compared)


def test_a_head_draws_from_a_stream_of_its_own():
    def convolution_behind_a_head_for(classes: int) -> torch.Tensor:
        network = nn.Sequential(empty_linear(4, classes), empty_convolution(1, 2, 3, stride=1))
        initialize(network, torch.Generator().manual_seed(1))
        return network[1].weight

    assert torch.equal(convolution_behind_a_head_for(2), convolution_behind_a_head_for(30))


@pytest.mark.parametrize("convolution", [WeightStandardizedConvolution(64, 96, 3), empty_convolution(64, 96, 3, stride=1)])
def test_convolutions_are_normal_with_the_deviation_of_their_fan_out(convolution):
    initialize(convolution, torch.Generator().manual_seed(1))
    weight = convolution.weight.detach()
    expected = math.sqrt(2 / (9 * 96))
    assert float(weight.std()) == pytest.approx(expected, rel=0.02)
    assert float(weight.mean()) == pytest.approx(0, abs=expected / 50)
    assert float(weight.abs().max()) > 3 * expected


def test_the_head_is_uniform_up_to_one_over_the_root_of_its_inputs_and_without_bias():
    layer = empty_linear(100, 500)
    initialize(layer, torch.Generator().manual_seed(1))
    weight = layer.weight.detach()
    assert 0.0999 < float(weight.abs().max()) <= 0.1
    assert float(weight.std()) == pytest.approx(0.2 / math.sqrt(12), rel=0.02)
    assert torch.all(layer.bias == 0)


def test_norms_start_as_identity_but_the_last_one_of_a_lite_residual_module_at_zero():
    norms = {name: module for name, module in network().named_modules() if isinstance(module, nn.GroupNorm)}
    assert all(torch.all(norm.bias == 0) for norm in norms.values())
    zero = {name for name, norm in norms.items() if torch.all(norm.weight == 0)}
    assert zero == {name for name in norms if name.endswith("lite_residual.final_norm")}
    assert len(zero) == 13
    assert all(torch.all(norm.weight == 1) for name, norm in norms.items() if name not in zero)
