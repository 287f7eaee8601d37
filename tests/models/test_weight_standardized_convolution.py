import pytest
import torch
from torch.testing import assert_close

from fedtiny.models.weight_standardized_convolution import EPSILON, WeightStandardizedConvolution, standardized


@pytest.fixture
def weight() -> torch.Tensor:
    return torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def with_weight(weight: torch.Tensor, **options: int) -> WeightStandardizedConvolution:
    groups = options.get("groups", 1)
    convolution = WeightStandardizedConvolution(weight.shape[1] * groups, weight.shape[0], weight.shape[2], **options).to(weight.dtype)
    with torch.no_grad():
        convolution.weight.copy_(weight)
    return convolution


def test_every_output_channel_gets_mean_zero_and_unbiased_deviation_one(weight):
    flat = standardized(weight).flatten(1)
    assert_close(flat.mean(1), torch.zeros(6, dtype=torch.float64), atol=1e-15, rtol=0)
    deviation = weight.flatten(1).std(1, correction=1)
    assert_close(flat.std(1, correction=1), deviation / (deviation + EPSILON), atol=1e-14, rtol=0)


def test_c9_a_constant_added_to_an_output_channel_changes_nothing(weight):
    inputs = torch.randn(2, 4, 7, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    constants = torch.linspace(-3, 3, 6, dtype=torch.float64)[:, None, None, None]
    assert_close(with_weight(weight + constants)(inputs), with_weight(weight)(inputs), atol=1e-12, rtol=0)


def test_c9_a_positive_factor_changes_only_what_epsilon_lets_through(weight):
    scaled = standardized(1000 * weight)
    assert not torch.equal(scaled, standardized(weight))
    deviation = weight.flatten(1).std(1, correction=1)[:, None, None, None]
    expected = standardized(weight) * (deviation + EPSILON) / (deviation + EPSILON / 1000)
    assert_close(scaled, expected, atol=1e-13, rtol=0)


def test_the_stored_weight_stays_as_it_is(weight):
    convolution = with_weight(weight)
    convolution(torch.ones(1, 4, 3, 3, dtype=torch.float64))
    assert torch.equal(convolution.weight, weight)


@pytest.mark.parametrize(("size", "stride", "expected"), [(7, 1, 7), (7, 2, 4), (8, 2, 4), (1, 2, 1)])
def test_padding_keeps_the_size_and_stride_divides_it_rounded_up(weight, size, stride, expected):
    assert with_weight(weight, stride=stride)(torch.ones(1, 4, size, size, dtype=torch.float64)).shape == (1, 6, expected, expected)


def test_groups_see_their_own_channels_only(weight):
    convolution = with_weight(weight, groups=2)
    inputs = torch.zeros(1, 8, 5, 5, dtype=torch.float64)
    inputs[:, 4:] = 1 + torch.arange(25.0).reshape(5, 5)
    output = convolution(inputs)
    assert torch.all(output[:, :3] == 0)
    assert torch.any(output[:, 3:] != 0)
