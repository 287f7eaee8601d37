"""What a module or a function does, in the words of `summary`: operator, groups, multiply-accumulates and their rate class.

Modules of these types are layers of their own and are priced by formula. Everything else is watched from inside: the
functions that it calls are the layers.
"""

import math
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from fedtiny.models.folded_convolution import FoldedConvolution
from fedtiny.models.frozen_batch_normalization import FrozenBatchNormalization
from fedtiny.models.lstm import Lstm
from fedtiny.models.quantized_convolution import QuantizedConvolution, Requantization
from fedtiny.models.summary import Operator, RateClass
from fedtiny.models.weight_standardized_convolution import WeightStandardizedConvolution

_CONVOLUTIONS: Final = (_ConvNd, FoldedConvolution, QuantizedConvolution, WeightStandardizedConvolution)
_NORMALIZATIONS: Final = (nn.GroupNorm, nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase, FrozenBatchNormalization)
_RELUS: Final = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, Requantization)
_SMOOTH: Final = (
    *(nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.ELU, nn.SELU, nn.CELU, nn.Mish, nn.PReLU),
    *(nn.Softplus, nn.Softsign, nn.LogSigmoid, nn.Tanhshrink),
)
_RECURRENT: Final = (Lstm, nn.RNNBase, nn.RNNCellBase)
_TYPES: Final[tuple[tuple[tuple[type[nn.Module], ...], Operator], ...]] = (
    (_CONVOLUTIONS, "convolution"),
    ((nn.Linear,), "linear"),
    (_NORMALIZATIONS, "normalization"),
    (_RELUS, "relu"),
    (_SMOOTH, "smooth_activation"),
    (_RECURRENT, "other"),
)
_WITH_WEIGHTS: Final[dict[str, Operator]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), "convolution"),
    **dict.fromkeys(("linear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "einsum", "mv", "addmv"), "linear"),
    **dict.fromkeys(("group_norm", "layer_norm", "rms_norm", "instance_norm", "batch_norm"), "normalization"),
}
_WITHOUT_WEIGHTS: Final[dict[str, Operator]] = {
    **dict.fromkeys(("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_"), "relu"),
    **dict.fromkeys(("sigmoid", "sigmoid_", "tanh", "tanh_", "hardswish", "hardsigmoid", "silu", "gelu"), "smooth_activation"),
    **dict.fromkeys(("elu", "selu", "celu", "mish", "prelu", "softplus", "softsign", "logsigmoid"), "smooth_activation"),
}
_GROUPS_POSITION: Final = 6


@dataclass(frozen=True)
class Operation:
    """What one call does; multiply-accumulates are those of the whole call."""

    operator: Operator
    groups: int = 1
    macs: int = 0
    rate_class: RateClass | None = None


def operator_of(module: nn.Module) -> Operator | None:
    """The operator of a module that is a layer of its own, None for any other module."""
    return next((operator for types, operator in _TYPES if isinstance(module, types)), None)


def module_operation(module: nn.Module, inputs: int, outputs: int) -> Operation:
    """What one call of a module does that is a layer of its own, from its elements in and out."""
    operator = operator_of(module) or "other"
    if isinstance(module, _CONVOLUTIONS):
        elements = inputs if isinstance(module, _ConvTransposeNd) else outputs
        macs = elements * math.prod(module.weight.shape[1:])
        return Operation(operator, module.groups, macs, _convolution_class(module.groups, module.weight))
    if isinstance(module, nn.Linear):
        return Operation(operator, macs=outputs * module.in_features, rate_class="dense_gemm")
    if isinstance(module, _RECURRENT):
        weights = sum(parameter.numel() for name, parameter in module.named_parameters() if name.startswith("weight"))
        return Operation(operator, macs=weights * inputs // module.input_size, rate_class="recurrent")
    return Operation(operator)


def function_operation(name: str, arguments: tuple[Any, ...], named: dict[str, Any], macs: int, *, weighted: bool) -> Operation:
    """What a call of torch's function `name` does that needed `macs`; `weighted`: a parameter is among its arguments."""
    operator = _WITHOUT_WEIGHTS.get(name) or (_WITH_WEIGHTS.get(name, "other") if weighted else "other")
    if macs == 0:
        return Operation(operator)
    if _WITH_WEIGHTS.get(name) != "convolution":
        return Operation(operator, macs=macs, rate_class="dense_gemm" if weighted else "attention")
    weight = named["weight"] if "weight" in named else arguments[1]
    groups = named.get("groups", arguments[_GROUPS_POSITION] if len(arguments) > _GROUPS_POSITION else 1)
    return Operation(operator, groups, macs, _convolution_class(groups, weight))


def _convolution_class(groups: int, weight: Tensor) -> RateClass:
    if groups == 1:
        return "pointwise_convolution" if math.prod(weight.shape[2:]) == 1 else "dense_convolution"
    return "depthwise" if weight.shape[1] == 1 else "grouped_convolution"
