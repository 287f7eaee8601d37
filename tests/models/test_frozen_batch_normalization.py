import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn import functional

from fedtiny.models.frozen_batch_normalization import EPSILON, FrozenBatchNormalization
from fedtiny.models.measure import summarize

CHANNELS = 5


def norm() -> FrozenBatchNormalization:
    generator = torch.Generator().manual_seed(1)
    module = FrozenBatchNormalization(CHANNELS).double()
    with torch.no_grad():
        for tensor in (module.weight, module.bias, module.mean, module.variance):
            tensor.uniform_(0.2, 2, generator=generator)
    return module


def images() -> torch.Tensor:
    return torch.randn(4, CHANNELS, 6, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def kept(module: nn.Module, inputs: torch.Tensor) -> list[int]:
    """Elements of every tensor that autograd keeps for the backward pass."""
    sizes: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.numel())
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        module(inputs)
    return sizes


def test_it_computes_batch_normalisation_at_inference():
    module = norm()
    expected = functional.batch_norm(images(), module.mean, module.variance, module.weight, module.bias, training=False, eps=EPSILON)
    torch.testing.assert_close(module(images()), expected, atol=1e-14, rtol=1e-13)


def test_its_gradients_are_those_of_batch_normalisation_at_inference():
    module, direction = norm(), torch.randn(4, CHANNELS, 6, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ours, theirs = images().requires_grad_(), images().requires_grad_()
    own = torch.autograd.grad(module(ours), [ours, module.weight, module.bias], direction)
    output = functional.batch_norm(theirs, module.mean, module.variance, module.weight, module.bias, training=False, eps=EPSILON)
    for found, expected in zip(own, torch.autograd.grad(output, [theirs, module.weight, module.bias], direction), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("inputs_train", [False, True])
def test_training_beta_alone_keeps_nothing_larger_than_the_channels(inputs_train):
    module, inputs = norm(), images().requires_grad_(inputs_train)
    module.weight.requires_grad_(False)
    assert kept(module, inputs) == ([CHANNELS] if inputs_train else [])


def test_training_gamma_keeps_the_inputs():
    assert max(kept(norm(), images())) == images().numel()


def test_the_statistics_stay_bit_identical_in_training_mode_and_are_no_parameters():
    module = norm().train()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    for _ in range(3):
        module(images()).square().sum().backward()
        torch.optim.SGD(module.parameters(), lr=0.1).step()
    assert {name for name, _ in module.named_parameters()} == {"weight", "bias"}
    assert before.keys() == {"mean", "variance"}
    assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())


def test_a_new_one_changes_nothing_but_by_epsilon():
    torch.testing.assert_close(FrozenBatchNormalization(CHANNELS).double()(images()), images() / (1 + EPSILON) ** 0.5)


def test_a_summary_knows_it_as_a_normalisation_whose_gamma_is_the_weight_and_whose_beta_is_the_bias():
    network = nn.Sequential(FrozenBatchNormalization(CHANNELS), nn.Flatten(), nn.Linear(CHANNELS * 4, 3))
    layer = summarize(network, "net", (CHANNELS, 2, 2), 3).layers[0]
    assert (layer.operator, layer.input_elements) == ("normalization", CHANNELS * 4)
    assert [(parameter.name, parameter.role) for parameter in layer.parameters] == [("0.weight", "weight"), ("0.bias", "bias")]
