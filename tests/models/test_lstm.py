import pytest
import torch
from torch import nn

from fedtiny.models.lstm import Lstm

BATCH, STEPS, INPUTS, UNITS = 3, 7, 5, 4


def layer(*, sequence: bool) -> Lstm:
    made = Lstm(INPUTS, UNITS, sequence=sequence).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        nn.init.normal_(parameter, generator=generator)
    return made


def torch_layer(own: Lstm) -> nn.LSTM:
    """torch's layer with the same values; its second bias is 0."""
    twin = nn.LSTM(INPUTS, UNITS, batch_first=True).double()
    values = {"weight_ih_l0": own.weight_ih, "weight_hh_l0": own.weight_hh, "bias_ih_l0": own.bias, "bias_hh_l0": torch.zeros(4 * UNITS)}
    twin.load_state_dict({name: value.detach() for name, value in values.items()})
    return twin


def inputs() -> torch.Tensor:
    return torch.randn(BATCH, STEPS, INPUTS, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)


@pytest.mark.parametrize("sequence", [True, False])
def test_states_and_gradients_are_those_of_torch(sequence):
    own = layer(sequence=sequence)
    twin = torch_layer(own)
    ours, theirs = inputs(), inputs()
    states = twin(theirs)[0]
    expected = states if sequence else states[:, -1]
    found = own(ours)
    assert found.shape == ((BATCH, STEPS, UNITS) if sequence else (BATCH, UNITS))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    found.square().sum().backward()
    expected.square().sum().backward()
    for one, other in [(ours, theirs), (own.weight_ih, twin.weight_ih_l0), (own.weight_hh, twin.weight_hh_l0), (own.bias, twin.bias_ih_l0)]:
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-10, atol=1e-10)


def saved_elements(own: Lstm, data: torch.Tensor) -> int:
    """The elements that autograd keeps for the backward pass, each storage once, parameters not counted."""
    ours = {parameter.untyped_storage().data_ptr() for parameter in own.parameters()}
    kept, bytes_of = [], {}

    def pack(tensor):
        kept.append(tensor)
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in ours:
            bytes_of[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = own(data)
    assert output.requires_grad == bool(kept)
    return sum(bytes_of.values()) // 8


@pytest.mark.parametrize("sequence", [True, False])
@pytest.mark.parametrize(
    ("trains", "per_step"),
    [
        ((), 0),
        (("bias",), 6 * UNITS),
        (("weight_hh", "bias"), 7 * UNITS),
        (("weight_ih", "bias"), 6 * UNITS + INPUTS),
        (("weight_ih", "weight_hh", "bias"), 7 * UNITS + INPUTS),
    ],
)
def test_what_is_kept_for_the_gradient_is_what_the_table_says(trains, per_step, sequence):
    own = layer(sequence=sequence)
    for name, parameter in own.named_parameters():
        parameter.requires_grad_(name in trains)
    assert saved_elements(own, inputs().detach()) == BATCH * STEPS * per_step


def test_a_frozen_layer_keeps_the_gates_where_something_before_it_trains():
    own = layer(sequence=False).requires_grad_(requires_grad=False)
    assert saved_elements(own, inputs()) == BATCH * STEPS * 6 * UNITS


def test_the_forget_bias_is_the_second_quarter():
    own = layer(sequence=False)
    assert own.forget_bias.data_ptr() == own.bias[UNITS:].data_ptr()
    assert own.forget_bias.shape == (UNITS,)
