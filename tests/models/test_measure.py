import pytest
import torch
from torch import nn
from torch.nn import functional

from fedtiny.errors import ModelError
from fedtiny.models.initialization import initialize
from fedtiny.models.mcunet import McuNet5Fps
from fedtiny.models.measure import summarize
from fedtiny.models.small_cnn import SmallCnn
from fedtiny.models.summary import LayerFacts, ModelSummary
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution


class Branches(nn.Module):
    """trunk -> (left, right -> far); head sees left and far; the side branch sees the input only."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Conv2d(1, 2, 1)
        self.left = nn.Conv2d(2, 2, 1)
        self.side = nn.Conv2d(1, 2, 1)
        self.right = nn.Conv2d(2, 2, 1)
        self.far = nn.Conv2d(2, 2, 1)
        self.head = nn.Linear(6, 2)

    def forward(self, inputs):
        trunk = self.trunk(inputs)
        left = self.left(trunk)
        side = self.side(inputs)
        far = self.far(self.right(trunk))
        return self.head(torch.cat([left, far, side], 1).mean((2, 3)))


class Quadratic(nn.Module):
    """Only a loss, of one bare parameter."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(()))

    def loss(self, inputs, targets):
        return (0.5 * inputs.flatten() * (self.w - targets) ** 2).mean()


@pytest.fixture(scope="module")
def mcunet() -> ModelSummary:
    network = McuNet5Fps().build((3, 32, 32), 10, lite_residual=True, generator=torch.Generator().manual_seed(1))
    return summarize(network, "mcunet_5fps", (3, 32, 32), 10)


def by_name(summary: ModelSummary) -> dict[str, LayerFacts]:
    return {layer.name: layer for layer in summary.layers}


def test_small_cnn_is_what_a_hand_calculation_says():
    network = SmallCnn().build((1, 28, 28), 10, lite_residual=False, generator=torch.Generator().manual_seed(1))
    summary = summarize(network, "small_cnn", (1, 28, 28), 10)
    found = [
        (one.name, one.operator, one.section, one.input_elements, one.output_elements, one.macs, one.upstream) for one in summary.layers
    ]
    assert found == [
        ("convolution_1", "convolution", "backbone", 784, 1568, 9 * 1568, ()),
        ("norm_1", "normalization", "backbone", 1568, 1568, 0, (0,)),
        ("activation_1", "relu", "backbone", 1568, 1568, 0, (0, 1)),
        ("convolution_2", "convolution", "backbone", 1568, 784, 72 * 784, (0, 1)),
        ("norm_2", "normalization", "backbone", 784, 784, 0, (0, 1, 3)),
        ("activation_2", "relu", "backbone", 784, 784, 0, (0, 1, 3, 4)),
        ("flatten", "other", "backbone", 784, 784, 0, (0, 1, 3, 4)),
        ("head", "linear", "head", 784, 10, 7840, (0, 1, 3, 4)),
    ]
    assert [(one.name, one.elements, one.role) for one in summary.parameters] == [
        *[("convolution_1.weight", 72, "weight"), ("norm_1.weight", 8, "weight"), ("norm_1.bias", 8, "bias")],
        *[("convolution_2.weight", 1152, "weight"), ("norm_2.weight", 16, "weight"), ("norm_2.bias", 16, "bias")],
        *[("head.weight", 7840, "weight"), ("head.bias", 10, "bias")],
    ]
    assert (summary.model, summary.input_shape, summary.classes) == ("small_cnn", (1, 28, 28), 10)
    assert summary.forward_macs == 9 * 1568 + 72 * 784 + 7840


def test_parallel_branches_are_told_apart():
    summary = summarize(Branches(), "branches", (1, 4, 4), 2)
    assert {layer.name: layer.upstream for layer in summary.layers} == {
        "trunk": (),
        "left": (0,),
        "side": (),
        "right": (0,),
        "far": (0, 3),
        "head": (0, 1, 2, 3, 4),
    }


def test_a_lite_residual_module_does_not_depend_on_the_main_branch_beside_it(mcunet):
    names = [layer.name for layer in mcunet.layers]
    lite = by_name(mcunet)["blocks.1.lite_residual.group_convolution"]
    assert [names[index] for index in lite.upstream][-1] == "blocks.0.main.project.norm"
    following = by_name(mcunet)["blocks.2.main.expand.convolution"]
    assert {"blocks.1.main.project.norm", "blocks.1.lite_residual.final_norm"} <= {names[index] for index in following.upstream}


def test_sections_are_backbone_lite_residual_modules_and_the_last_linear_layer(mcunet):
    for layer in mcunet.layers:
        expected = "head" if layer.name == "head" else "lite_residual" if ".lite_residual." in layer.name else "backbone"
        assert layer.section == expected, layer.name


def test_only_the_last_norm_of_a_lite_residual_module_is_final(mcunet):
    final = [layer.name for layer in mcunet.layers if layer.final_in_lite]
    assert final == [f"blocks.{number}.lite_residual.final_norm" for number in range(1, 14)]


def test_inside_a_block_with_a_shortcut_its_input_stays_in_memory(mcunet):
    inside = {layer.name: layer.residual_elements for layer in mcunet.layers}
    assert inside["blocks.2.main.expand.convolution"] == 16 * 8 * 8
    assert inside["blocks.2.main.project.norm"] == inside["blocks.2.lite_residual.final_norm"] == 16 * 8 * 8
    assert inside["blocks.1.main.expand.convolution"] == inside["blocks.1.lite_residual.final_norm"] == 0
    assert inside["stem.convolution"] == inside["head"] == 0


def test_the_layers_of_a_mobile_network_come_in_the_order_of_its_parameters(mcunet):
    network = McuNet5Fps().build((3, 32, 32), 10, lite_residual=True, generator=torch.Generator().manual_seed(1))
    assert [parameter.name for parameter in mcunet.parameters] == [name for name, _ in network.named_parameters()]


def test_the_network_is_left_as_it_was():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2), nn.Dropout(0.5))
    network[1].requires_grad_(False)
    network[2].eval()
    random_state = torch.random.get_rng_state()
    with torch.no_grad():
        summary = summarize(network, "network", (1, 2, 2), 2)
    assert [module.training for module in network.modules()] == [True, True, True, False, True, True]
    assert [parameter.requires_grad for parameter in network.parameters()] == [False, False, True, True]
    assert all(parameter.grad is None for parameter in network.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert torch.equal(random_state, torch.random.get_rng_state())
    assert [layer.upstream for layer in summary.layers] == [(), (), (1,), (1,), (1, 3)]


def test_the_network_is_left_as_it_was_when_it_fails():
    network = nn.Sequential(nn.Flatten(), nn.Linear(5, 2))
    with pytest.raises(ModelError, match=r"network odd cannot take an input of shape \(1, 1, 2, 2\): RuntimeError: mat1 and mat2"):
        summarize(network, "odd", (1, 2, 2), 2)
    assert all(module.training and not module._forward_hooks for module in network.modules())


def test_a_network_in_double_precision_is_measured_in_it():
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).double()
    assert summarize(network, "network", (1, 2, 2), 2).forward_macs == 8


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)),
            r"running statistics \(1.running_mean, BatchNorm2d\).*use torch.nn.GroupNorm",
        ),
        (nn.Sequential(nn.InstanceNorm2d(1, affine=True, track_running_stats=True)), "running statistics"),
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(2)), "parameter 1.weight of network odd has no size yet"),
        (nn.Sequential(nn.Flatten()), "has no parameters: there is nothing to train"),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), r"must return logits \(batch, 2\), but for one sample it returns shape \(1, 3\)"),
        (nn.Sequential(nn.Flatten(), nn.LSTM(4, 2)), "must return logits .* it returns tuple"),
        (nn.ParameterList([nn.Parameter(torch.ones(1))]), r"defines neither forward\(inputs\) nor loss\(inputs, targets\)"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_network_that_cannot_train_here_is_refused_with_the_reason(network, message):
    with pytest.raises(ModelError, match=message):
        summarize(network, "odd", (1, 2, 2), 2)


def test_a_network_that_only_has_a_loss_is_measured_through_it():
    summary = summarize(Quadratic(), "quadratic", (1, 1, 1), 2)
    assert [(parameter.name, parameter.elements) for parameter in summary.parameters] == [("w", 1)]
    assert summary.layers[-1].section == "head"


def test_a_loss_that_needs_numbers_as_targets_gets_them():
    class Regression(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 1)

        def loss(self, inputs, targets):
            return functional.binary_cross_entropy_with_logits(self.layer(inputs.flatten(1)).flatten(), targets)

    summary = summarize(Regression(), "regression", (1, 2, 2), 2)
    assert [(layer.name, layer.macs) for layer in summary.layers] == [("layer", 4)]


def test_parameters_that_only_the_loss_uses_are_listed_all_the_same():
    class WithTemperature(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 2)
            self.temperature = nn.Parameter(torch.ones(1))

        def forward(self, inputs):
            return self.layer(inputs.flatten(1))

        def loss(self, inputs, targets):
            return functional.cross_entropy(self(inputs) / self.temperature, targets)

    summary = summarize(WithTemperature(), "warm", (1, 2, 2), 2)
    assert [parameter.name for parameter in summary.parameters] == ["layer.weight", "layer.bias", "temperature"]
    assert [(layer.name, layer.section) for layer in summary.layers] == [("layer", "head"), ("WithTemperature", "backbone")]


def test_the_classifier_is_the_last_convolution_where_it_comes_after_the_last_linear_layer():
    network = nn.Sequential(nn.Flatten(2), nn.Linear(4, 4), nn.Conv1d(1, 2, 4), nn.Flatten())
    assert [layer.name for layer in summarize(network, "network", (1, 2, 2), 2).layers if layer.section == "head"] == ["2"]


def test_initialising_again_changes_no_fact():
    network = SmallCnn().build((1, 8, 8), 3, lite_residual=False, generator=torch.Generator().manual_seed(1))
    before = summarize(network, "small_cnn", (1, 8, 8), 3)
    initialize(network, torch.Generator().manual_seed(2))
    assert summarize(network, "small_cnn", (1, 8, 8), 3) == before


def test_a_network_that_keeps_running_statistics_is_described_where_that_is_asked_for():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    with pytest.raises(ModelError, match="keeps running statistics"):
        summarize(network, "published", (3, 8, 8), 2)
    summary = summarize(network, "published", (3, 8, 8), 2, running_statistics=True)
    assert [layer.operator for layer in summary.layers] == ["convolution", "normalization", "other", "linear"]
    assert summary.parameter_elements == sum(parameter.numel() for parameter in network.parameters())
    assert network.training


def test_operators_within_and_between_layers_are_counted():
    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution = WeightStandardizedConvolution(3, 3, 3)
            self.activation = nn.ReLU()
            self.head = nn.Linear(3, 2)

        def forward(self, inputs):
            added = inputs + self.activation(self.convolution(inputs))
            return self.head(added.mean((2, 3)))

    network = Shortcut()
    nn.init.normal_(network.convolution.weight)
    layers = summarize(network, "shortcut", (3, 4, 4), 2).layers
    # mean, difference, norm, quotient by a root, sum, quotient, convolution; and between: sum, mean
    assert [(layer.operators, layer.between) for layer in layers] == [(7, 0), (1, 0), (1, 2)]
