import pytest
import torch

from fedtiny.models.group_norm import group_norm


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (16, 2), (24, 3), (12, 2), (20, 4), (7, 1), (11, 11), (1280, 160)])
def test_a_group_holds_the_largest_divisor_up_to_eight(channels, groups):
    assert group_norm(channels).num_groups == groups


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_c8_a_sample_does_not_feel_the_rest_of_its_batch(dtype):
    norm = group_norm(16).to(dtype)
    batch = torch.randn(8, 16, 3, 3, generator=torch.Generator().manual_seed(1), dtype=dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    torch.testing.assert_close(norm(batch)[5:6], norm(batch[5:6]), atol=tolerance, rtol=0)


def test_c8_a_batch_norm_would_feel_it():
    norm = torch.nn.BatchNorm2d(16)
    batch = torch.randn(8, 16, 3, 3, generator=torch.Generator().manual_seed(1))
    assert not torch.allclose(norm(batch)[5:6], norm(batch[5:6]), atol=1e-2)


def test_one_pixel_is_enough():
    assert torch.isfinite(group_norm(8)(torch.ones(1, 8, 1, 1))).all()


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("trained", [("bias",), ("weight",), ("weight", "bias")])
def test_its_parameters_train_where_nothing_below_needs_a_gradient(trained, memory_format):
    """In the channels-last format torch's own crashes the process."""
    values = torch.rand(2, 16, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).contiguous(
        memory_format=memory_format
    )
    gradients = []
    for everything in (True, False):
        norm = group_norm(16).double().requires_grad_(everything)
        for name in trained:
            norm.get_parameter(name).requires_grad_()
        norm(values.clone().requires_grad_(everything)).square().sum().backward()
        gradients.append([norm.get_parameter(name).grad for name in trained])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
