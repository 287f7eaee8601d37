import pytest
import torch
from torch import nn

from fedtiny.training.local import FlatNetwork
from fedtiny.training.measured_cost import measured_memory
from fedtiny.training.optimizer import SGD, Adam
from fedtiny.updates.layout import Layout, TrainableTensor

INPUTS, TARGETS = torch.zeros(4, 8), torch.zeros(4, dtype=torch.int64)
ELEMENTS = 8 * 6 + 6 + 6 * 2 + 2


def network():
    return nn.Sequential(nn.Linear(8, 6), nn.Sigmoid(), nn.Linear(6, 2))


def measured(trainable=("0.weight", "0.bias", "2.weight", "2.bias"), optimizer=None, **more):
    return measured_memory(FlatNetwork(network(), trainable), optimizer or SGD(), INPUTS, TARGETS, **more)


def test_parameters_gradients_and_batch_are_what_their_storages_hold():
    items = measured(client_vectors=3).items
    assert items["trainable_parameters"] == items["gradients"] == 4 * ELEMENTS
    assert (items["frozen_parameters"], items["buffers"]) == (0, 0)
    assert items["batch"] == 4 * 4 * 8 + 4 * 8
    assert items["client_vectors"] == 3 * 4 * ELEMENTS


def test_saved_are_the_sigmoids_output_once_and_what_the_loss_keeps():
    assert measured().saved_bytes == 4 * 4 * 6 + 4 * 4 * 2 + 4, "of the loss the log-probabilities and the total weight"


def test_a_frozen_first_layer_keeps_nothing_but_the_input_of_the_head():
    frozen = measured(("2.weight", "2.bias"))
    assert frozen.items["frozen_parameters"] == 4 * (8 * 6 + 6)
    assert frozen.saved_bytes == measured().saved_bytes, "the output of the sigmoid is the input of the head"
    assert measured(("2.bias",)).saved_bytes == 4 * 4 * 2 + 4


@pytest.mark.parametrize(
    ("optimizer", "state", "buffers"),
    [
        (SGD(), 0, 0),
        (SGD(momentum=0.9), 4 * ELEMENTS, 0),
        (SGD(weight_decay=0.1), 0, 4 * ELEMENTS),
        (Adam(), 2 * 4 * ELEMENTS + 4, 2 * 4 * ELEMENTS),
    ],
    ids=["sgd", "momentum", "weight_decay", "adam"],
)
def test_an_optimizer_keeps_and_needs_what_it_says(optimizer, state, buffers):
    update = measured(optimizer=optimizer).phases["update"]
    scalars = 8
    assert update["optimizer_state"] == state == optimizer.state_vectors * 4 * ELEMENTS + optimizer.state_bytes
    assert 0 <= update["update_buffers"] - buffers <= scalars
    assert buffers == optimizer.update_vectors * 4 * ELEMENTS


def test_a_tensor_that_trains_in_part_has_a_gradient_of_its_own_beside_the_vector():
    layout = Layout((TrainableTensor("0.weight", (6, 8), 1, (1, 5)),))
    items = measured_memory(FlatNetwork(network(), layout), SGD(), INPUTS, TARGETS).items
    assert items["gradients"] == items["trainable_parameters"] == 4 * (48 + 12)


def test_the_peak_is_the_largest_phase_and_workspaces_are_beside_it():
    convolution = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 2))
    flat = FlatNetwork(convolution, [name for name, _ in convolution.named_parameters()])
    found = measured_memory(flat, SGD(), torch.zeros(2, 3, 8, 8), torch.zeros(2, dtype=torch.int64))
    assert found.total_bytes == max(sum(items.values()) for items in found.phases.values())
    assert found.items in found.phases.values()
    assert found.workspace_bytes >= 0


def test_a_step_is_measured_in_silence(capfd):
    measured()
    assert capfd.readouterr() == ("", "")
