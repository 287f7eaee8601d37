import torch
from torch import nn

from fedtiny.models.dependence import Dependence


def parameters(count: int) -> list[nn.Parameter]:
    return [nn.Parameter(torch.full((2,), float(number + 1))) for number in range(count)]


def test_a_tensor_depends_on_what_it_was_computed_from_and_on_nothing_else():
    a, b, c = parameters(3)
    dependence = Dependence([a, b, c])
    left, right = (a * 2).exp(), b * c
    assert dependence.of([left.grad_fn]) == 0b001
    assert dependence.of([right.grad_fn]) == 0b110
    assert dependence.of([(left + right).grad_fn]) == 0b111
    assert dependence.of([left.grad_fn, right.grad_fn]) == 0b111
    assert dependence.of([]) == 0


def test_what_was_detached_does_not_count():
    a, b = parameters(2)
    assert Dependence([a, b]).of([((a * 2).detach() * b).grad_fn]) == 0b10


def test_a_graph_far_deeper_than_the_call_stack_is_walked():
    (a,) = parameters(1)
    tensor = a
    for _ in range(20_000):
        tensor = tensor * 1.0
    assert Dependence([a]).of([tensor.grad_fn]) == 1


def test_a_graph_with_exponentially_many_paths_is_walked_once():
    (a,) = parameters(1)
    tensor = a
    for _ in range(200):
        tensor = tensor + tensor.exp()
    assert Dependence([a]).of([tensor.grad_fn]) == 1
