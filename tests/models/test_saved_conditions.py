import pytest
import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional

from fedtiny.models.saved_conditions import SavedConditions

IMAGE = (2, 4, 6, 6)


def tensor(*shape):
    return torch.ones(shape, requires_grad=True)


class Squared(Function):
    @staticmethod
    def forward(context, values):
        context.save_for_backward(values)
        return values * values

    @staticmethod
    def backward(context, gradient):
        return gradient * 2 * context.saved_tensors[0]


CALLS = {
    "a convolution keeps input and weight even for its bias alone": (
        lambda: functional.conv2d(tensor(*IMAGE), tensor(8, 4, 3, 3), tensor(8)),
        {"_saved_input": {0, 1, 2}, "_saved_weight": {0, 1, 2}},
    ),
    "a group norm keeps input and gamma whatever is asked": (
        lambda: functional.group_norm(tensor(*IMAGE), 2, tensor(4), tensor(4)),
        {"_saved_input": {0, 1, 2}, "_saved_weight": {0, 1, 2}},
    ),
    "a product keeps each factor for the other": (lambda: tensor(3) * tensor(3), {"_saved_self": {1}, "_saved_other": {0}}),
    "a quotient keeps its divisor for both and what is divided for the divisor": (
        lambda: tensor(3) / tensor(3),
        {"_saved_self": {1}, "_saved_other": {0, 1}},
    ),
    "a linear layer keeps its input for the weight": (
        lambda: torch.addmm(tensor(2), tensor(5, 3), tensor(3, 2)),
        {"_saved_mat1": {2}, "_saved_mat2": {1}},
    ),
    "a clamped activation keeps its input": (lambda: functional.relu6(tensor(3) * 1), {"_saved_self": {0}}),
    "a custom function keeps what it keeps": (lambda: Squared.apply(tensor(3)), {"saved_tensors": {0}}),
    "an activation in place is tried out on copies": (lambda: (tensor(3) * 1).relu_(), {"_saved_result": {0}}),
}


@pytest.mark.parametrize("sentence", CALLS)
def test_torch_says_for_which_gradients_it_keeps_a_tensor(sentence):
    call, expected = CALLS[sentence]
    with SavedConditions() as conditions:
        node = call().grad_fn
    assert {what: set(conditions.edges(node, what)) for what in expected} == expected


def test_what_nothing_is_known_of_counts_as_kept_for_every_gradient():
    node = (tensor(3) * tensor(3)).grad_fn
    assert SavedConditions().edges(node, "_saved_self") == {0, 1}


def test_trying_calls_out_changes_neither_values_nor_gradients():
    layer = nn.BatchNorm1d(3)
    values = tensor(4, 3)
    before = layer.running_mean.clone()
    with SavedConditions():
        output = layer(values)
        changed = (values * 1).add_(1)
    assert torch.equal(output, functional.batch_norm(values, None, None, layer.weight, layer.bias, training=True))
    assert torch.equal(layer.running_mean, 0.9 * before + 0.1)
    assert torch.equal(changed, values + 1)
    assert values.grad is None
