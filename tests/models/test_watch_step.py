import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from fedtiny.errors import ModelError
from fedtiny.models.seeded import build_seeded
from fedtiny.models.small_cnn import SmallCnn
from fedtiny.models.step import Size
from fedtiny.models.watch_step import watch_step

SHAPE = (3, 8, 8)


def perceptron():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Sigmoid(), nn.Linear(5, 2))


def by_name(step, name):
    return [node for node in step.nodes if node.name == name]


def test_the_facts_of_a_small_perceptron_are_those_on_paper():
    step = watch_step(perceptron(), "perceptron", SHAPE)
    assert (step.element_bytes, step.buffers, step.batch) == (4, 0, Size(0, 4 * 192 + 8))
    sigmoid = by_name(step, "SigmoidBackward0")[0]
    first, second = by_name(step, "AddmmBackward0")
    assert [node.layer for node in (first, sigmoid, second)] == ["1", "2", "3"]
    assert [step.storages[saved.storage].size for saved in sigmoid.saved] == [Size(0, 4 * 5)]
    assert {saved.storage for saved in sigmoid.saved} == {saved.storage for saved in second.saved}, "one storage, kept twice"
    assert not first.saved, "the batch itself is not counted among what is kept"
    gradients = [second.temporaries[edge.temporary].size for edge in second.edges]
    assert gradients == [Size(4 * 2, 0), Size(0, 4 * 5), Size(4 * 10, 0)]


def test_weights_that_are_made_on_the_fly_do_not_grow_with_the_batch():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(2, 192))

        def forward(self, inputs):
            return functional.linear(inputs.flatten(1), self.weight / self.weight.norm())

    step = watch_step(Scaled(), "scaled", SHAPE)
    kept = {step.storages[saved.storage].size for node in by_name(step, "DivBackward0") for saved in node.saved}
    assert all(size.per_sample == 0 for size in kept)


def test_the_network_is_left_as_it_was():
    network = perceptron().eval()
    network[1].bias.requires_grad_(False)
    values = {name: parameter.clone() for name, parameter in network.named_parameters()}
    random = torch.random.get_rng_state()
    watch_step(network, "perceptron", SHAPE)
    assert not network.training
    assert [parameter.requires_grad for parameter in network.parameters()] == [True, False, True, True]
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(parameter, values[name]) for name, parameter in network.named_parameters())
    assert torch.equal(torch.random.get_rng_state(), random)


def test_the_facts_are_the_same_every_time():
    network = build_seeded(SmallCnn(), SHAPE, 3, lite_residual=False, seed=0)
    assert watch_step(network, "small_cnn", SHAPE) == watch_step(network, "small_cnn", SHAPE)


def test_float64_takes_twice_as_much():
    single, double = (watch_step(perceptron().to(dtype), "perceptron", SHAPE) for dtype in (torch.float32, torch.float64))
    assert (single.element_bytes, double.element_bytes) == (4, 8)
    assert double.batch == Size(0, 2 * single.batch.per_sample - 8), "classes are whole numbers in both"
    kept = [[step.storages[saved.storage].size.per_sample for node in step.nodes for saved in node.saved] for step in (single, double)]
    assert [2 * size for size in kept[0]] == kept[1]


class OwnLoss(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(192, 1)

    def loss(self, inputs, targets):
        if not targets.is_floating_point():
            raise TypeError("numbers wanted")
        return functional.mse_loss(self.linear(inputs.flatten(1)).flatten(), targets)


def test_a_loss_of_ones_own_is_watched_on_the_targets_it_takes():
    step = watch_step(OwnLoss(), "own", SHAPE)
    assert step.nodes[-1].name == "MseLossBackward0"
    assert step.batch == Size(0, 4 * 192 + 4)


def test_dropout_keeps_its_mask():
    plain, dropping = (
        watch_step(nn.Sequential(nn.Flatten(), first, nn.Linear(192, 2)), "network", SHAPE) for first in (nn.Identity(), nn.Dropout())
    )
    assert len(dropping.storages) > len(plain.storages)
    inside = nn.Sequential(nn.Flatten(), nn.Linear(192, 5), nn.Dropout(), nn.Linear(5, 2))
    assert [node.layer for node in watch_step(inside, "network", SHAPE).nodes if node.saved and node.layer == "2"]


def test_a_network_that_cannot_take_the_input_is_refused_by_name():
    with pytest.raises(ModelError, match=r"training step of network perceptron on inputs \(1, 3, 9, 9\) cannot be watched"):
        watch_step(perceptron(), "perceptron", (3, 9, 9))


def test_a_network_that_does_other_things_with_larger_batches_is_refused():
    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(192, 2)

        def forward(self, inputs):
            logits = self.linear(inputs.flatten(1))
            return logits if len(inputs) < 3 else logits.sigmoid()

    with pytest.raises(ModelError, match="does other things with a batch of 2 than with one of 3"):
        watch_step(Fickle(), "fickle", SHAPE)


def test_facts_are_values():
    step = watch_step(perceptron(), "perceptron", SHAPE)
    assert dataclasses.replace(step) == step
    assert hash(step.nodes[0]) == hash(dataclasses.replace(step.nodes[0]))
