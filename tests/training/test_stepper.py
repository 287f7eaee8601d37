"""Optimizer steps over flat vectors, of all elements and of some."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from fedtiny.training.optimizer import SGD, Adam
from fedtiny.training.stepper import stepper, torch_optimizer

OPTIMIZERS = [
    SGD(learning_rate=0.1),
    SGD(learning_rate=0.1, momentum=0.9, weight_decay=0.05),
    SGD(learning_rate=0.1, weight_decay=0.05),
    Adam(learning_rate=0.1),
    Adam(learning_rate=0.3, beta1=0.5, beta2=0.7, epsilon=1e-3),
]


def vectors():
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(8, dtype=torch.float64, generator=generator)
    return weights, [torch.randn(8, dtype=torch.float64, generator=generator) for _ in range(4)]


def walked(optimizer, positions=None):
    weights, gradients = vectors()
    current = torch.zeros_like(weights)
    step = stepper(optimizer, weights, current, positions)
    for gradient in gradients:
        current.copy_(gradient)
        step()
    return weights.numpy()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_chosen_elements_go_as_they_go_among_all_and_the_others_stay(optimizer):
    positions = np.array([1, 2, 6])
    start, some, every = vectors()[0].numpy(), walked(optimizer, positions), walked(optimizer)
    np.testing.assert_array_equal(some[positions], every[positions])
    others = np.setdiff1d(np.arange(8), positions)
    np.testing.assert_array_equal(some[others], start[others])


def test_a_plain_step_is_the_rate_times_the_gradient():
    weights, gradients = vectors()
    expected = weights.clone()
    for gradient in gradients:
        expected -= 0.1 * gradient
    np.testing.assert_allclose(walked(SGD(learning_rate=0.1)), expected.numpy(), rtol=0, atol=1e-15)


def test_what_changed_the_weights_between_two_steps_is_kept():
    weights, gradients = torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    step = stepper(SGD(learning_rate=1.0), weights, gradients, np.array([0, 2]))
    step()
    weights.round_().add_(10)
    step()
    assert weights.tolist() == [8, 10, 8]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_step_is_torchs_own_to_the_last_bit(optimizer, dtype):
    generator = torch.Generator().manual_seed(3)
    start = torch.randn(50, dtype=dtype, generator=generator)
    ours, theirs, gradient = start.clone(), start.clone(), torch.zeros_like(start)
    step, peer = stepper(optimizer, ours, gradient), torch_optimizer(optimizer, theirs, gradient)
    for _ in range(30):
        gradient.copy_(torch.randn(50, dtype=dtype, generator=generator))
        step()
        peer.step()
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_step_does_not_import_torchs_compiler():
    code = (
        "import sys, torch\n"
        "from fedtiny.training.stepper import stepper\n"
        "from fedtiny.training.optimizer import SGD, Adam\n"
        "for optimizer in (SGD(momentum=0.5, weight_decay=0.1), SGD(), Adam()):\n"
        "    stepper(optimizer, torch.zeros(2), torch.ones(2))()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
