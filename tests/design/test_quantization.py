from itertools import pairwise

import pytest
import torch

from fedtiny.design.quantization import Affine, affine_of
from fedtiny.models.quantized_convolution import Requantization
from fedtiny.models.quantized_network import QuantizedBottleneck, quantized_convolutions


def test_weights_are_integers_up_to_127_that_every_output_channel_reaches(quantized_pair):
    for path, convolution in quantized_convolutions(quantized_pair.integer):
        weight = convolution.weight.detach()
        assert torch.equal(weight, weight.round()), path
        assert torch.equal(weight.abs().amax((1, 2, 3)), torch.full((len(weight),), 127.0, dtype=weight.dtype)), path


def test_weights_and_biases_stand_for_those_of_the_folded_network(quantized_pair):
    real = quantized_pair.real
    for path, convolution in quantized_convolutions(quantized_pair.integer):
        for name, scale in convolution.scales().items():
            integers, values = (module.get_parameter(name).detach() for module in (convolution, real.get_submodule(path)))
            assert float((integers - values / scale).abs().max()) <= 0.5 + 1e-9, path


def test_every_tensor_has_the_scale_that_the_next_convolution_reads_it_with(quantized_pair):
    network = quantized_pair.integer
    for block in network.blocks:
        units = [*block.main]
        for before, after in pairwise(units):
            first, second = before.convolution, after.convolution
            written = first.weight_scale * first.input_scale / before.requantization.multiplier.flatten()
            torch.testing.assert_close(written, second.input_scale.expand_as(written), rtol=1e-12, atol=0)
            assert torch.equal(before.requantization.zero, second.input_zero)


def test_behind_relu6_the_smallest_integer_is_zero_and_elsewhere_it_is_not(quantized_pair):
    network = quantized_pair.integer
    zeros = {path: float(module.zero) for path, module in network.named_modules() if isinstance(module, Requantization)}
    activated = [zero for path, zero in zeros.items() if ".expand." in path or ".depthwise." in path or path.startswith("stem")]
    projected = [zero for path, zero in zeros.items() if ".project." in path]
    assert set(activated) == {-128.0}
    assert all(zero > -128 for zero in projected)


@torch.no_grad()
def test_the_first_tensor_is_that_of_the_folded_network_within_half_a_step_on_average(quantized_pair):
    inputs, network = quantized_pair.images(16), quantized_pair.integer
    real, integers = quantized_pair.real.stem(inputs), network.stem(network.quantization(inputs))
    step = float(network.blocks[0].main.depthwise.convolution.input_scale)
    assert float((step * (integers + 128) - real).abs().mean()) < step / 2
    assert float(real.max()) > 50 * step


def test_every_tensor_between_the_two_ends_is_of_int8(quantized_pair):
    network, seen = quantized_pair.integer, []
    for module in network.modules():
        if isinstance(module, (Requantization, QuantizedBottleneck)):
            module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        network(quantized_pair.images(2))
    assert len(seen) == 42 + 7 + 14
    assert all(torch.equal(output, output.to(torch.int8).to(output.dtype)) for output in seen)


def test_the_head_is_that_of_the_folded_network(quantized_pair):
    for name, parameter in quantized_pair.integer.head.named_parameters():
        assert torch.equal(parameter, quantized_pair.real.get_parameter(f"head.{name}"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 5.1], Affine(0.02, -128.0)),
        ([1.0, 5.1], Affine(0.02, -128.0)),
        ([-5.1, -1.0], Affine(0.02, 127.0)),
        ([-2.56, 2.54], Affine(0.02, 0.0)),
        ([0.0, 0.0], Affine(1.0, -128.0)),
    ],
)
def test_a_tensor_reaches_from_its_smallest_value_to_its_largest_and_zero_is_an_integer(values, expected):
    found = affine_of(torch.tensor(values, dtype=torch.float64))
    assert (found.scale, found.zero) == (pytest.approx(expected.scale), expected.zero)


@torch.no_grad()
def test_a_channel_of_tiny_weights_has_a_bias_that_fits_32_bits(quantized_pair):
    real = quantized_pair.real
    real.stem.convolution.weight[0] *= 1e-13
    real.stem.convolution.weight[1] = 0
    real.stem.convolution.bias[1] = 0
    quantized_pair.quantize()
    convolution = quantized_pair.integer.stem.convolution
    assert float(convolution.bias.abs().max()) <= 2**31 - 1
    restored = float(convolution.bias[0] * convolution.scales()["bias"][0])
    assert restored == pytest.approx(float(real.stem.convolution.bias[0]), rel=1e-6)
    assert float(convolution.weight[1].abs().max()) == 0
    assert bool(torch.isfinite(convolution.scales()["weight"]).all())
