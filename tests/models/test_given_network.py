import functools

import pytest
import torch
from torch import nn

from fedtiny.errors import ModelError
from fedtiny.models.given_network import given_network


class Flat(nn.Module):
    """A linear layer on flattened inputs."""

    def __init__(self, input_shape, classes):
        nn.Module.__init__(self)
        self.head = nn.Linear(input_shape[1] * input_shape[2], classes)

    def forward(self, inputs):
        return self.head(inputs.flatten(1))


def built(factory, seed=0):
    return given_network(factory).build((1, 2, 2), 3, lite_residual=False, generator=torch.Generator().manual_seed(seed))


def test_the_factory_makes_the_network_for_the_datas_shape_and_classes():
    assert built(Flat).head.weight.shape == (3, 4)


def test_its_values_depend_on_the_generator_alone():
    torch.manual_seed(1)
    first = built(Flat).head.weight
    torch.manual_seed(2)
    assert torch.equal(first, built(Flat).head.weight)
    assert not torch.equal(first, built(Flat, seed=3).head.weight)


def test_it_is_named_after_its_factory_and_its_factory_is_not_said_in_a_file():
    assert given_network(Flat).to_plain()["name"] == "Flat"
    assert given_network(functools.partial(Flat)).name == "partial"
    assert "factory" not in given_network(Flat).to_plain()


def test_it_cannot_carry_lite_residual_modules():
    assert given_network(Flat).wants_lite_residual(False) is False
    with pytest.raises(ModelError):
        given_network(Flat).wants_lite_residual(True)
