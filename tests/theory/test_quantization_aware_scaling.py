"""Quantization-aware scaling moves an int8 network as SGD moves the real one (Lin et al., arXiv 2206.15472, section 2.1)."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fedtiny.models.quantization import Int8
from fedtiny.models.quantized_network import QuantizedBottleneck, parameter_scales, quantized_convolutions, set_rounding
from fedtiny.training.local import FlatNetwork
from fedtiny.training.quantization_aware_scaling import gradient_factors, integer_storage
from fedtiny.updates.layout import Layout, TrainableTensor

RATE = 0.02
WITHOUT = Int8(scaling="none")


def names_of(network: nn.Module) -> list[str]:
    return [name for name, _ in network.named_parameters()]


@torch.no_grad()
def made_generic(pair) -> None:
    """Moves every value off its integer: a channel that is constant, or whose bias is 0, may lie on the very edge of a clamp."""
    generator = torch.Generator().manual_seed(7)
    for _, convolution in quantized_convolutions(pair.integer):
        for parameter in (convolution.weight, convolution.bias):
            noise = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.1 * noise + 0.01 * parameter * noise


def clamped(low: Tensor, high: Tensor):
    return lambda _module, _inputs, output: torch.clamp(output, low, high)


def bounds(scale: Tensor, zero: Tensor) -> tuple[Tensor, Tensor]:
    return scale * (-128 - zero), scale * (127 - zero)


def real_reference(pair) -> nn.Module:
    """The folded network in real arithmetic, with the integers' values, and clamped where the int8 network clamps."""
    reference, integer = deepcopy(pair.real), pair.integer
    with torch.no_grad():
        for name, scale in parameter_scales(integer).items():
            reference.get_parameter(name).copy_(integer.get_parameter(name) * scale)
    output_scale = {}
    for path, convolution in quantized_convolutions(integer):
        unit = path.removesuffix(".convolution")
        requantization = integer.get_submodule(f"{unit}.requantization")
        output_scale[unit] = (convolution.weight_scale * convolution.input_scale / requantization.multiplier.flatten())[0]
        reference.get_submodule(unit).register_forward_hook(clamped(*bounds(output_scale[unit], requantization.zero)))
    for path, block in integer.named_modules():
        if isinstance(block, QuantizedBottleneck) and block.addition is not None:
            scale = output_scale[f"{path}.main.project"] / block.addition.main_multiplier
            reference.get_submodule(path).register_forward_hook(clamped(*bounds(scale, block.addition.requantization.zero)))
    return reference


def batch(pair, number: int) -> tuple[Tensor, Tensor]:
    source = pair.integer.quantization
    inputs = pair.images(6, seed=10 + number).clamp(*bounds(source.scale, source.zero))
    return inputs, torch.tensor([0, 1, 2, 3, 4, number % 5])


def stepped(flat: FlatNetwork, pair, number: int) -> None:
    flat.backward(*batch(pair, number))
    flat.weights -= RATE * flat.gradients


def real_values(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter as a real number, whatever it is held as."""
    scales = parameter_scales(network)
    return {name: value.detach() * scales.get(name, torch.ones(())) for name, value in network.named_parameters()}


def test_e5_without_rounding_qas_is_sgd_on_the_real_network_step_by_step(quantized_pair):
    made_generic(quantized_pair)
    integer, reference = quantized_pair.integer, real_reference(quantized_pair)
    set_rounding(integer, rounds=False)
    own, real = FlatNetwork(integer, names_of(integer)), FlatNetwork(reference, names_of(reference))
    before = {name: value.clone() for name, value in real_values(reference).items()}
    for number in range(4):
        stepped(own, quantized_pair, number)
        stepped(real, quantized_pair, number)
        # the network multiplies a last bit by about ten a step
        tolerance = 1e-12 * 10**number
        for name, value in real_values(integer).items():
            expected = reference.get_parameter(name).detach()
            assert float((value - expected).abs().max()) <= tolerance * float(expected.abs().max()), (number, name)
    moved = {name for name, value in real_values(reference).items() if not torch.allclose(value, before[name], rtol=1e-9, atol=0)}
    assert len(moved) == len(before)


def test_e5_with_rounding_one_step_of_each_weight_and_bias_is_that_of_its_real_value(quantized_pair):
    integer = quantized_pair.integer
    flat = FlatNetwork(integer, names_of(integer))
    scales = parameter_scales(integer)
    before = {name: value.clone() for name, value in real_values(integer).items()}
    plain = FlatNetwork(deepcopy(integer), names_of(integer), WITHOUT)
    plain.backward(*batch(quantized_pair, 0))
    stepped(flat, quantized_pair, 0)
    for name, value in real_values(integer).items():
        # the gradient of the integer is s times that of the real number
        gradient = plain.network.get_parameter(name).grad / scales.get(name, torch.ones(()))
        torch.testing.assert_close(value, before[name] - RATE * gradient, rtol=1e-12, atol=1e-15, msg=name)


def test_e6_the_ratio_of_weight_to_gradient_is_that_of_the_real_network_with_qas_and_off_by_s_squared_without(quantized_pair):
    made_generic(quantized_pair)
    integer, reference = quantized_pair.integer, real_reference(quantized_pair)
    set_rounding(integer, rounds=False)
    plain, real = FlatNetwork(integer, names_of(integer), WITHOUT), FlatNetwork(reference, names_of(reference))
    own = FlatNetwork(deepcopy(integer), names_of(integer))
    own.backward(*batch(quantized_pair, 0))
    plain.backward(*batch(quantized_pair, 0))
    real.backward(*batch(quantized_pair, 0))
    for path, convolution in quantized_convolutions(integer):
        name = f"{path}.weight"
        weight, gradient = convolution.weight.detach(), convolution.weight.grad
        real_weight, real_gradient = reference.get_parameter(name).detach(), reference.get_parameter(name).grad
        scale = convolution.weight_scale[0]
        expected = real_weight[0].norm() / real_gradient[0].norm()
        scaled = own.network.get_parameter(name).grad
        torch.testing.assert_close(weight[0].norm() / scaled[0].norm(), expected, rtol=1e-9, atol=0)
        torch.testing.assert_close(weight[0].norm() / gradient[0].norm(), expected / scale**2, rtol=1e-9, atol=0)


def test_e6_with_all_scales_one_qas_does_nothing(quantized_pair):
    for _, convolution in quantized_convolutions(quantized_pair.integer):
        convolution.weight_scale.fill_(1.0)
        convolution.input_scale.fill_(1.0)
    layout = FlatNetwork(quantized_pair.integer, names_of(quantized_pair.integer)).layout
    assert torch.equal(gradient_factors(quantized_pair.integer, layout), torch.ones(layout.elements, dtype=torch.float64))


def test_networks_of_real_numbers_have_no_factors_and_neither_has_training_without_scaling(quantized_pair):
    for network, training in ((quantized_pair.real, Int8()), (quantized_pair.integer, WITHOUT)):
        layout = FlatNetwork(network, names_of(network)).layout
        assert gradient_factors(network, layout, training) is None
        assert integer_storage(quantized_pair.real, layout, Int8(storage="int8")) is None


def test_e7_masking_and_scaling_commute(quantized_pair):
    integer = quantized_pair.integer
    name = "blocks.3.main.expand.convolution.weight"
    shape = tuple(integer.get_parameter(name).shape)
    whole, some = (Layout((TrainableTensor(name, shape, 1, channels),)) for channels in (None, (1, 4, 5)))
    gradient = torch.rand(int(np.prod(shape)), dtype=torch.float64)
    chosen = torch.from_numpy(some.positions_in(whole))
    scaled_first = (gradient * gradient_factors(integer, whole))[chosen]
    assert torch.equal(gradient[chosen] * gradient_factors(integer, some), scaled_first)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_e7_storing_integers_is_idempotent_and_they_stay_within_8_and_32_bits(quantized_pair, rounding):
    integer = quantized_pair.integer
    flat = FlatNetwork(integer, names_of(integer))
    storage = integer_storage(integer, flat.layout, Int8(storage="int8", rounding=rounding))
    head = {name: integer.get_parameter(name).detach().clone() for name in ("head.weight", "head.bias")}
    with torch.no_grad():
        integer.stem.convolution.weight += 40.7
        integer.stem.convolution.bias += 3e10
    storage.store(flat.weights, np.random.Generator(np.random.PCG64(1)))
    once = flat.weights.clone()
    storage.store(flat.weights, np.random.Generator(np.random.PCG64(2)))
    assert torch.equal(flat.weights, once)
    for _, convolution in quantized_convolutions(integer):
        assert torch.equal(convolution.weight, convolution.weight.round().clamp(-128, 127))
    assert float(integer.stem.convolution.weight.detach().max()) == 127
    assert float(integer.stem.convolution.bias.detach().max()) == 2**31 - 1
    assert all(torch.equal(integer.get_parameter(name), value) for name, value in head.items())


def test_e7_quantised_weights_lie_within_127_at_the_start(quantized_pair):
    for _, convolution in quantized_convolutions(quantized_pair.integer):
        assert float(convolution.weight.detach().abs().max()) <= 127
