import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fedtiny.models.operators import module_operation, operator_of
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution

DENSE = [
    (nn.Conv1d(4, 6, 3, groups=2, padding=1), (1, 4, 10)),
    (nn.Conv2d(4, 6, (3, 1), stride=2), (1, 4, 9, 8)),
    (nn.Conv3d(2, 3, 2), (1, 2, 4, 5, 6)),
    (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (1, 4, 5, 5)),
    (nn.Linear(7, 3), (1, 5, 7)),
]


@pytest.mark.parametrize(("module", "shape"), DENSE, ids=str)
def test_the_formulas_agree_with_what_torch_counts(module, shape):
    inputs = torch.zeros(shape)
    with FlopCounterMode(display=False) as counter:
        outputs = module(inputs)
    assert 2 * module_operation(module, inputs.numel(), outputs.numel()).macs == counter.get_total_flops()


@pytest.mark.parametrize(
    ("module", "operator", "groups", "rate_class"),
    [
        (WeightStandardizedConvolution(16, 24, 3), "convolution", 1, "dense_convolution"),
        (WeightStandardizedConvolution(16, 24, 1), "convolution", 1, "pointwise_convolution"),
        (WeightStandardizedConvolution(16, 16, 5, groups=2), "convolution", 2, "grouped_convolution"),
        (WeightStandardizedConvolution(16, 16, 5, groups=16), "convolution", 16, "depthwise"),
        (nn.Conv2d(1, 8, 3), "convolution", 1, "dense_convolution"),
        (nn.Conv2d(4, 8, 3, groups=4), "convolution", 4, "depthwise"),
        (nn.Linear(3, 2), "linear", 1, "dense_gemm"),
        (nn.LSTM(3, 2), "other", 1, "recurrent"),
        (nn.GroupNorm(1, 3), "normalization", 1, None),
        (nn.LayerNorm(3), "normalization", 1, None),
        (nn.BatchNorm2d(3, track_running_stats=False), "normalization", 1, None),
        (nn.ReLU(), "relu", 1, None),
        (nn.ReLU6(), "relu", 1, None),
        (nn.LeakyReLU(), "relu", 1, None),
        (nn.Hardswish(), "smooth_activation", 1, None),
        (nn.GELU(), "smooth_activation", 1, None),
    ],
    ids=str,
)
def test_every_module_is_described_in_the_words_of_memory_and_speed(module, operator, groups, rate_class):
    operation = module_operation(module, 12, 12)
    assert (operation.operator, operation.groups, operation.rate_class) == (operator, groups, rate_class)


@pytest.mark.parametrize(
    "module", [nn.MaxPool2d(2), nn.Dropout(), nn.Flatten(), nn.Identity(), nn.Embedding(3, 2), nn.Sequential()], ids=str
)
def test_other_modules_are_not_layers_of_their_own(module):
    assert operator_of(module) is None


def test_a_recurrent_layer_multiplies_all_its_weights_at_every_step():
    lstm = nn.LSTM(input_size=5, hidden_size=3, num_layers=2, bidirectional=True, batch_first=True)
    per_step = 2 * (4 * 3 * (5 + 3)) + 2 * (4 * 3 * (2 * 3 + 3))
    assert module_operation(lstm, 7 * 5, 7 * 6).macs == 7 * per_step
    assert module_operation(nn.GRUCell(5, 3), 5, 3).macs == 3 * 3 * (5 + 3)
