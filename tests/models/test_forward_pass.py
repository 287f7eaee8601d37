"""Networks as users write them: functional calls, bare parameters, shared and recurrent layers."""

import torch
from torch import nn
from torch.nn import functional

from fedtiny.models.measure import summarize
from fedtiny.models.summary import LayerFacts


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.kernel = nn.Parameter(torch.ones(4, 1, 3, 3))
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.projection = nn.Parameter(torch.ones(3, 64))

    def forward(self, inputs):
        features = functional.relu(self.first(inputs), inplace=True)
        features = torch.sigmoid(functional.conv2d(features, self.kernel, padding=1, groups=4)) * self.scale
        return functional.avg_pool2d(features, 1).flatten(1) @ self.projection.T


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(10, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, inputs):
        tokens = self.embedding(inputs.flatten(1).long())
        tokens, _ = self.attention(tokens, tokens, tokens)
        states, _ = self.lstm(tokens)
        return self.head(states[:, -1])


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.activation = nn.ReLU()

    def forward(self, inputs):
        features = self.activation(self.first(inputs.flatten(1)))
        return self.activation(self.second(self.first(features)))


def by_name(layers: tuple[LayerFacts, ...]) -> dict[str, LayerFacts]:
    return {layer.name: layer for layer in layers}


def test_functional_calls_are_layers_with_their_parameters_and_multiply_accumulates():
    layers = summarize(Functional(), "functional", (4, 4, 4), 3).layers
    found = [(layer.name, layer.operator, layer.groups, layer.macs, layer.rate_class, layer.upstream) for layer in layers]
    assert found == [
        ("first", "convolution", 2, 4 * 2 * 9 * 16, "grouped_convolution", ()),
        ("relu", "relu", 1, 0, None, (0,)),
        ("conv2d", "convolution", 4, 4 * 9 * 16, "depthwise", (0,)),
        ("sigmoid", "smooth_activation", 1, 0, None, (0, 2)),
        ("mul", "other", 1, 0, None, (0, 2)),
        ("matmul", "linear", 1, 64 * 3, "dense_gemm", (0, 2, 4)),
    ]
    assert [[parameter.name for parameter in layer.parameters] for layer in layers] == [
        ["first.weight", "first.bias"],
        *([], ["kernel"], [], ["scale"], ["projection"]),
    ]
    assert layers[-1].section == "head"


def test_embeddings_attention_and_recurrent_layers_are_measured_with_all_their_parameters():
    network = Tokens()
    summary = summarize(network, "tokens", (1, 1, 7), 3)
    layers = by_name(summary.layers)
    assert {parameter.name for parameter in summary.parameters} == {name for name, _ in network.named_parameters()}
    assert summary.parameter_elements == sum(parameter.numel() for parameter in network.parameters())
    assert (layers["embedding"].operator, layers["embedding"].macs) == ("other", 0)
    attention = layers["attention.multi_head_attention_forward"]
    assert attention.macs == 4 * 7 * 6 * 6 + 2 * 7 * 7 * 6
    assert attention.rate_class == "dense_gemm"
    assert (layers["lstm"].macs, layers["lstm"].rate_class) == (7 * 4 * 5 * (6 + 5), "recurrent")
    assert {parameter.name: parameter.role for parameter in layers["lstm"].parameters}["lstm.bias_hh_l0"] == "bias"
    assert layers["head"].upstream == (0, 1, 2)


def test_a_layer_that_is_called_twice_is_two_layers_and_its_parameters_count_once():
    summary = summarize(Tied(), "tied", (1, 2, 2), 4)
    assert [layer.name for layer in summary.layers] == ["first", "activation", "first", "second", "activation"]
    assert [layer.upstream for layer in summary.layers] == [(), (0,), (0,), (0, 2), (0, 2, 3)]
    assert [parameter.name for parameter in summary.parameters] == ["first.weight", "first.bias", "second.bias"]
    assert summary.parameter_elements == 16 + 4 + 4


def test_parametrised_layers_keep_the_names_of_the_parameters_that_train():
    network = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))
    summary = summarize(network, "normed", (1, 2, 2), 3)
    assert {parameter.name for parameter in summary.parameters} == {name for name, _ in network.named_parameters()}
    assert {parameter.role for parameter in summary.parameters if "original" in parameter.name} == {"weight"}
    assert [layer.operator for layer in summary.layers] == ["other", "linear"]


class Depthwise(nn.Module):
    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.ones(4, 1, 3, 3))

    def forward(self, inputs):
        return functional.conv2d(inputs, self.kernel, None, 1, 0, 1, 4).flatten(1)


def test_groups_are_found_among_positional_arguments_too():
    (layer,) = summarize(Depthwise(), "depthwise", (4, 3, 3), 4).layers
    assert (layer.groups, layer.rate_class, layer.macs) == (4, "depthwise", 36)


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(4))

    def forward(self, inputs):
        return inputs.flatten(1) * self.factor


class FlatLinear(nn.Linear):
    def __init__(self):
        super().__init__(4, 3)

    def forward(self, inputs):
        return super().forward(inputs.flatten(1))


def test_a_bare_parameter_of_the_network_itself_is_a_layer_named_after_its_use():
    (layer,) = summarize(Scale(), "scale", (1, 2, 2), 4).layers
    assert (layer.name, layer.section, layer.input_elements, layer.output_elements) == ("mul", "head", 4, 4)


def test_a_network_that_is_itself_a_layer_has_the_name_of_its_class():
    (layer,) = summarize(FlatLinear(), "linear", (1, 2, 2), 3).layers
    assert (layer.name, layer.operator, layer.macs) == ("FlatLinear", "linear", 12)
    assert [parameter.name for parameter in layer.parameters] == ["weight", "bias"]
