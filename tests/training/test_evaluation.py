"""How good a model is: shares and means over all examples, whatever the batches."""

import numpy as np
import pytest
import torch
from torch import nn

from fedtiny.training.evaluation import Quality, evaluate
from fedtiny.training.local import Examples, FlatNetwork


def flat_of(network):
    return FlatNetwork(network, [name for name, _ in network.named_parameters()])


def classifier():
    torch.manual_seed(0)
    return nn.Linear(4, 3).double()


def examples(count):
    generator = torch.Generator().manual_seed(1)
    return Examples(torch.randn(count, 4, dtype=torch.float64, generator=generator), torch.randint(0, 3, (count,), generator=generator))


@pytest.mark.parametrize("count", [1, 7, 499, 500, 501, 1234])
def test_accuracy_and_loss_are_over_all_examples_at_once(count):
    network, data = classifier(), examples(count)
    outputs = network(data.inputs).detach()
    quality = evaluate(flat_of(network), data)
    assert quality.accuracy == float((outputs.argmax(dim=1) == data.targets).double().mean())
    assert quality.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, data.targets)), rel=1e-12)


def test_a_perfect_and_a_useless_model():
    network = nn.Linear(3, 3, bias=False).double()
    data = Examples(torch.eye(3, dtype=torch.float64), torch.arange(3))
    with torch.no_grad():
        network.weight.copy_(100 * torch.eye(3))
    assert evaluate(flat_of(network), data) == Quality(1.0, 0.0, ((1, 1), (1, 1), (1, 1)))
    with torch.no_grad():
        network.weight.zero_()
    assert evaluate(flat_of(network), data).loss == pytest.approx(np.log(3))


class OwnLoss(nn.Module):
    """A network that says itself how wrong it is."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4, dtype=torch.float64))

    def forward(self, inputs):
        return inputs * self.w

    def loss(self, inputs, targets):
        return (targets.double() + self.w.sum()).mean()


def test_a_network_with_a_loss_of_its_own_is_evaluated_with_it():
    quality = evaluate(flat_of(OwnLoss()), examples(700))
    assert quality.loss == pytest.approx(4 + float(examples(700).targets.double().mean()))
    assert quality.accuracy is not None


def test_where_targets_are_no_classes_there_is_no_accuracy():
    data = Examples(examples(10).inputs, torch.linspace(0, 1, 10, dtype=torch.float64))
    assert evaluate(flat_of(OwnLoss()), data) == Quality(None, pytest.approx(4.5))


def test_evaluation_drops_nothing_out_and_leaves_the_network_as_it_was():
    network = nn.Sequential(classifier(), nn.Dropout(0.9))
    flat, data = flat_of(network), examples(20)
    before = flat.read()
    assert evaluate(flat, data) == evaluate(flat, data) == evaluate(flat_of(classifier()), data)
    assert network.training
    np.testing.assert_array_equal(flat.read(), before)
    assert not flat.gradients.any()
