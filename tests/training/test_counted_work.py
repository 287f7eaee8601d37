"""What is counted while torch code of any kind runs, against the closed forms of its layers."""

import pytest
import torch
import yaml
from torch import nn

import fedtiny
from fedtiny.blueprint import blueprint
from fedtiny.costs.compute import step_groups
from fedtiny.training.counted_work import count_work

BATCH = 6


def training(network, inputs, *, steps=1, optimizer=None):
    """Takes steps; the batch needs no gradient."""
    optimizer = optimizer or torch.optim.SGD(network.parameters(), lr=0.1)

    def act():
        for _ in range(steps):
            optimizer.zero_grad()
            network(inputs).square().sum().backward()
            optimizer.step()

    return act


def images(channels, size):
    return torch.randn(BATCH, channels, size, size)


LAYERS = {
    # class, module, input, multiply-accumulates of the forward pass of one sample
    "dense_gemm": (lambda: nn.Linear(7, 5), torch.randn(BATCH, 7), 35),
    "dense_convolution": (lambda: nn.Conv2d(3, 4, 3), images(3, 8), 4 * 6 * 6 * 3 * 9),
    "depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), images(4, 8), 4 * 6 * 6 * 9),
    "grouped_convolution": (lambda: nn.Conv2d(4, 8, 3, groups=2), images(4, 8), 8 * 6 * 6 * 2 * 9),
    "pointwise_convolution": (lambda: nn.Conv2d(4, 5, 1), images(4, 8), 5 * 64 * 4),
    "recurrent": (lambda: nn.LSTM(3, 4, batch_first=True), torch.randn(BATCH, 5, 3), 5 * 4 * 4 * (3 + 4)),
}


class First(nn.Module):
    """Only the sequence of what a recurrent layer gives."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        out = self.layer(x)
        return out[0] if isinstance(out, tuple) else out


@pytest.mark.parametrize("kind", LAYERS)
def test_a_forward_pass_counts_what_its_layer_multiplies(kind):
    make, inputs, macs = LAYERS[kind]
    network = First(make())
    with torch.no_grad():
        found = count_work(lambda: network(inputs))
    assert found.forward == {kind: pytest.approx(BATCH * macs)}
    assert (found.backward, found.steps, found.memory) == ({}, 0, None)


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "recurrent"])
def test_a_backward_pass_counts_once_for_the_weight_and_once_for_an_input_that_wants_it(kind):
    make, inputs, macs = LAYERS[kind]
    weight_alone = count_work(training(make(), inputs))
    assert weight_alone.backward == {kind: pytest.approx(BATCH * macs)}
    both = count_work(training(make(), inputs.clone().requires_grad_(True)))
    assert both.backward == {kind: pytest.approx(2 * BATCH * macs)}


def test_a_recurrent_layers_backward_pass_is_two_of_its_forward_ones():
    make, inputs, macs = LAYERS["recurrent"]
    assert count_work(training(First(make()), inputs)).backward == {"recurrent": pytest.approx(2 * BATCH * macs)}


def test_a_transposed_convolution_counts_what_it_multiplies():
    found = count_work(training(nn.ConvTranspose2d(3, 2, 3), images(3, 6).requires_grad_(True)))
    macs = BATCH * 6 * 6 * 3 * 2 * 9
    assert sum(found.forward.values()) == macs
    assert sum(found.backward.values()) == 2 * macs


def test_products_of_two_activations_are_attention():
    a = torch.randn(2, 3, 4)
    assert count_work(lambda: a @ a.transpose(1, 2)).forward == {"attention": 2 * 3 * 3 * 4}


def test_attention_counts_its_two_products_whichever_kernel_torch_takes():
    q = torch.randn(2, 4, 6, 8)
    found = count_work(lambda: nn.functional.scaled_dot_product_attention(q, q, q))
    assert found.forward == {"attention": 2 * (2 * 4 * 6 * 6 * 8)}


def test_frozen_layers_have_no_gradient_of_a_weight():
    network = nn.Sequential(nn.Linear(7, 5), nn.Linear(5, 3))
    network[0].requires_grad_(False)
    found = count_work(training(network, torch.randn(BATCH, 7), optimizer=torch.optim.SGD(network[1].parameters(), lr=0.1)))
    assert (found.forward, found.backward) == ({"dense_gemm": BATCH * (35 + 15)}, {"dense_gemm": BATCH * 15})


@pytest.mark.parametrize("steps", [1, 3])
def test_memory_is_parameters_gradients_state_and_what_autograd_keeps_whatever_the_steps(steps):
    network, inputs = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(BATCH, 7)
    parameters = 7 * 5 + 5 + 5 * 3 + 3
    # the batch, what the rectifier gives (kept once, for itself and for the layer behind it), and the output, which is squared
    kept = BATCH * (7 + 5 + 3)
    for make, states in ((lambda own: torch.optim.SGD(own, lr=0.1), 0), (lambda own: torch.optim.SGD(own, lr=0.1, momentum=0.9), 1)):
        found = count_work(training(network, inputs, steps=steps, optimizer=make(network.parameters())))
        assert found.memory == 4 * ((2 + states) * parameters + kept)
        assert found.steps == steps


def test_memory_is_the_most_of_any_step_and_not_the_last():
    network = nn.Linear(7, 5)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)

    def act():
        for batch in (2, 9, 3):
            training(network, torch.randn(batch, 7), optimizer=optimizer)()

    assert count_work(act).memory == 4 * (2 * 40 + 9 * (7 + 5))


def test_counting_changes_no_number():
    found = []
    for watched in (False, True):
        torch.manual_seed(3)
        network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
        act = training(network, torch.randn(BATCH, 1, 8, 8), steps=3, optimizer=torch.optim.Adam(network.parameters()))
        if watched:
            count_work(act)
        else:
            act()
        found.append([value.clone() for value in network.state_dict().values()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_what_the_work_raises_is_the_callers_and_nothing_is_watched_afterwards():
    def act():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        count_work(act)
    assert count_work(lambda: None).macs == 0


def test_without_memory_the_hooks_are_not_there():
    def act():
        torch.func.grad(lambda weights: (torch.ones(2, 3) @ weights).sum())(torch.ones(3, 4))

    with pytest.raises(RuntimeError, match="saved tensor hooks"):
        count_work(act)
    assert count_work(act, memory=False).macs > 0


@pytest.mark.parametrize("update", ["full", "bias", "last"])
def test_the_groups_of_a_step_are_those_that_are_foreseen_of_its_layers(update, tmp_path):
    said = {
        "name": "counted",
        "model": "mcunet_5fps",
        "data": {"kind": "digits", "image_size": 32},
        "training": {"batch_size": BATCH, "local_steps": 1, "optimizer": {"kind": "sgd", "learning_rate": 0.1}},
        "update": update,
        "strategy": "fedavg",
        "fleet": [{"count": 1, "device": "raspberry_pi_4", "network": "wifi_campus"}],
        "stop": {"rounds": 1},
    }
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(said), encoding="utf-8")
    plans = blueprint(fedtiny.load_scenario(path))
    network, plan = plans.network, plans.candidates[0].plan
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in plan.trainable)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    found = count_work(training(network, images(1, 32), optimizer=torch.optim.SGD(trained, lr=0.1)), memory=False)
    assert found.groups == step_groups(plans.summary, plan) > 0
