import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.models.quantized_convolution import (
    Dequantization,
    InputQuantization,
    QuantizedAddition,
    QuantizedConvolution,
    Requantization,
    rounded,
)


def integers(*shape: int, low: int = -128, high: int = 128, seed: int = 1) -> torch.Tensor:
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed)).double()


def unit(in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution and its requantisation with scales of many sizes."""
    convolution = QuantizedConvolution(in_channels, out_channels, kernel, stride=stride, groups=groups)
    requantization = Requantization(out_channels)
    with torch.no_grad():
        convolution.weight.copy_(integers(*convolution.weight.shape, low=-127, seed=2) + 0.3)
        convolution.bias.copy_(integers(out_channels, low=-3000, high=3000, seed=3) - 0.2)
        convolution.weight_scale.copy_(torch.linspace(0.001, 0.02, out_channels))
        convolution.input_scale.fill_(0.04)
        convolution.input_zero.fill_(-7)
        requantization.multiplier.copy_((convolution.weight_scale * 0.04 / 0.11).view(-1, 1, 1))
        requantization.zero.fill_(12)
    return nn.Sequential(convolution, requantization).double()


def integer_convolution(inputs: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, groups: int) -> np.ndarray:
    """Padded convolution in 32-bit integers, one loop per output element."""
    out_channels, per_group, kernel, _ = weight.shape
    padded = np.pad(inputs, ((0, 0), (0, 0), (kernel // 2,) * 2, (kernel // 2,) * 2))
    batch, _, height, width = inputs.shape
    rows, columns = -(-height // stride), -(-width // stride)
    result = np.zeros((batch, out_channels, rows, columns), dtype=np.int32)
    for channel in range(out_channels):
        group = channel // (out_channels // groups)
        for row in range(rows):
            for column in range(columns):
                top, left = row * stride, column * stride
                patch = padded[:, group * per_group : (group + 1) * per_group, top : top + kernel, left : left + kernel]
                result[:, channel, row, column] = (patch * weight[channel]).sum(axis=(1, 2, 3), dtype=np.int32) + bias[channel]
    return result


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kernel", "stride", "groups"), [(1, 1, 1), (3, 2, 1), (5, 1, 8), (3, 1, 2)])
def test_the_forward_pass_is_the_integer_formula_exactly(kernel, stride, groups, precision):
    made = unit(8, 16 if groups != 8 else 8, kernel, stride=stride, groups=groups).to(precision)
    convolution, requantization = made
    inputs = integers(2, 8, 7, 6)
    weight = np.rint(convolution.weight.detach().numpy()).astype(np.int32)
    bias = np.rint(convolution.bias.detach().numpy()).astype(np.int32)
    shifted = inputs.numpy().astype(np.int32) - np.int32(convolution.input_zero)
    accumulators = integer_convolution(shifted, weight, bias, stride, groups)
    scaled = np.rint(accumulators.astype(requantization.multiplier.numpy().dtype) * requantization.multiplier.numpy())
    expected = np.clip(scaled.astype(np.int64) + int(requantization.zero), -128, 127)
    outputs = made(inputs.to(precision)).detach().numpy()
    assert np.array_equal(outputs, expected)
    assert len(np.unique(outputs)) > 50


def test_gradients_pass_through_rounding_and_stop_at_the_clamp():
    requantization = Requantization(1).double()
    requantization.multiplier.fill_(0.5)
    requantization.zero.fill_(3)
    values = torch.tensor([-263.0, -262.4, 7.3, 248.0, 249.4], dtype=torch.float64).view(5, 1, 1, 1).requires_grad_()
    outputs = requantization(values)
    assert outputs.flatten().tolist() == [-128, -128, 7, 127, 127]
    (outputs * torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64).view(5, 1, 1, 1)).sum().backward()
    assert values.grad.flatten().tolist() == [0, 1.0, 1.5, 2.0, 0]


def test_the_clamp_keeps_one_byte_per_element_for_its_gradient():
    kept = []
    values = torch.zeros(4, 3, 5, 5, requires_grad=True)
    requantization = Requantization(3)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor) or tensor, lambda tensor: tensor):
        requantization(values)
    assert sorted(tensor.numel() * tensor.element_size() for tensor in kept) == [3 * 4, 4 * 3 * 5 * 5]


def test_rounding_is_idempotent_and_its_gradient_is_one():
    values = torch.linspace(-3, 3, 41, dtype=torch.float64, requires_grad=True)
    once = rounded(values)
    assert torch.equal(rounded(once), once)
    assert torch.equal(once, torch.round(values))
    once.sum().backward()
    assert torch.equal(values.grad, torch.ones_like(values))


def test_padding_stands_for_zero():
    made = unit(4, 4, 3, groups=4)
    inputs = torch.full((1, 4, 5, 5), -7.0, dtype=torch.float64)
    outputs = made(inputs)
    assert torch.equal(outputs, outputs[..., :1, :1].expand_as(outputs))


def test_an_addition_is_of_what_the_integers_stand_for():
    addition = QuantizedAddition().double()
    shortcut, main = integers(2, 3, 4, 4), integers(2, 3, 4, 4, seed=5)
    scales, zeros = (0.03, 0.05, 0.07), (-20, 5, -11)
    addition.shortcut_zero.fill_(zeros[0])
    addition.shortcut_multiplier.fill_(scales[0] / scales[2])
    addition.main_zero.fill_(zeros[1])
    addition.main_multiplier.fill_(scales[1] / scales[2])
    addition.requantization.zero.fill_(zeros[2])
    real = scales[0] * (shortcut - zeros[0]) + scales[1] * (main - zeros[1])
    expected = (real / scales[2]).round() + zeros[2]
    assert torch.equal(addition(shortcut, main), expected.clamp(-128, 127))
    assert int((expected.abs() > 128).sum()) > 0


def test_what_goes_in_comes_out_within_half_a_step():
    into, out = InputQuantization().double(), Dequantization().double()
    for module in (into, out):
        module.scale.fill_(0.02)
        module.zero.fill_(-100)
    values = torch.linspace(-0.5, 4.5, 101, dtype=torch.float64)
    integers_of = into(values)
    assert torch.equal(integers_of, integers_of.round())
    assert float((out(integers_of) - values).abs().max()) <= 0.01 + 1e-12
    assert into(torch.tensor([-9.0, 9.0], dtype=torch.float64)).tolist() == [-128, 127]
